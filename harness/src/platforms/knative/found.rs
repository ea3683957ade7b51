//! Takes over a Service that another process deployed.

use std::{collections::BTreeMap, time::Duration};

use super::{
    CONTAINER, Deployed, Endpoint, Exposure, Ingress, KIND, KNATIVE_SERVICES, Knative, PlatformError, PodsOf,
    Replicas, Running, Wish, applying, control, host,
    manifest::{AUTOSCALING, CLUSTER_LOCAL, VISIBILITY},
    selector,
};

/// The Service of this name in the testbed's namespace, watched from now on; none if it is not there.
pub(super) async fn find(knative: &mut Knative, name: &str) -> Result<Option<Deployed>, PlatformError> {
    let cluster = knative.cluster.clone();
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let failed = |error| applying::explained(KIND, error);
    let Some(service) = api.get(&KNATIVE_SERVICES, Some(namespace), name).await.map_err(failed)? else {
        return Ok(None);
    };
    let Some(url) = service["status"]["url"].as_str() else {
        return Err(control(format!(
            "{name} has no address yet; see `harness status` for what it waits for"
        )));
    };
    let is_local = service["metadata"]["labels"][VISIBILITY] == CLUSTER_LOCAL;
    let exposure = if is_local { Exposure::InsideAlone } else { Exposure::Usual };
    let host = host(url, exposure)?;
    let ingress = Ingress::find(&cluster, exposure).await?;
    let pods = PodsOf {
        namespace: namespace.to_owned(),
        selector: selector(name),
        container: CONTAINER.to_owned(),
        function: name.to_owned(),
        revision: service["status"]["latestReadyRevisionName"].as_str().map(str::to_owned),
    };
    let annotations = &service["spec"]["template"]["metadata"]["annotations"];
    let min_scale = annotations[format!("{AUTOSCALING}min-scale")].as_str();
    let min_replicas = min_scale.and_then(|text| text.parse().ok()).unwrap_or(0);
    let endpoint = Endpoint { url: ingress.route.url.clone(), headers: vec![("Host".to_owned(), host)] };
    let replicas = Replicas::watch(api, &pods).await.map_err(failed)?;
    let wish = Wish::watch(api, namespace, name).await.ok();
    knative.applied = Some(name.to_owned());
    knative.running = Some(Running { replicas, wish, min_replicas, _ingress: ingress });
    Ok(Some(Deployed {
        endpoints: vec![endpoint],
        ready_after: Duration::ZERO,
        settings: BTreeMap::new(),
        pods: Some(pods),
    }))
}
