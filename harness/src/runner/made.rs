//! What a run of a workload needs whose requests the harness makes itself.

use std::collections::BTreeMap;

use anyhow::Context;

use super::{
    function_binary,
    prepare::{Prepared, Sources},
    sent::{Expected, Sent},
    spec,
};
use crate::{
    collect::environment::sha256_file,
    experiment::{Experiment, Site},
    workloads::Kind,
};

/// Makes the requests, and finds the function's binary on the twin.
///
/// # Errors
/// If something is missing; the message names the remedy.
pub async fn prepare(
    kind: Kind,
    experiment: &Experiment,
    sources: &Sources,
    say: &dyn Fn(&str),
) -> anyhow::Result<Prepared> {
    let requests = kind.requests(experiment, &sources.places, say)?;
    let mut spec = spec::common(experiment, kind.name());
    spec.path = requests.path;
    let mut function_sha256 = None;
    if experiment.on == Site::Twin {
        let given = sources.function_binary.as_deref();
        spec.binary =
            function_binary::find_or_build(given, kind.cargo_features(&experiment.function.env), say).await?;
        let cannot = || format!("cannot read {}", spec.binary.display());
        function_sha256 = Some(sha256_file(&spec.binary).with_context(cannot)?);
        spec.env.extend(requests.env);
    }
    Ok(Prepared {
        facts: serde_json::json!({
            "function_sha256": function_sha256,
            "image": experiment.function.image,
            "size": experiment.function.size,
            "workload": requests.facts,
        }),
        spec,
        sent: Sent::new(requests.payloads, Expected::from(requests.expected)),
        by_load: BTreeMap::new(),
        method: hyper::Method::POST,
        notices: requests.notices,
        generator: "this machine".to_owned(),
        files: crate::drive::shapes::Files::default(),
    })
}
