//! Prometheus: is it there, and does it scrape what the report shows?

use crate::{
    doctor::{Patient, Said, ok, skipped, warn},
    platforms::{
        PlatformKind,
        cluster::reach::{self, Route, ServicePort},
    },
};

/// Where charts put its Service.
const PLACES: [(&str, &str); 4] = [
    ("monitoring", "prometheus-operated"),
    ("monitoring", "prometheus-kube-prometheus-prometheus"),
    ("monitoring", "kube-prometheus-stack-prometheus"),
    ("monitoring", "prometheus"),
];

/// Something to be scraped: a mark in its URL, what it gives, whose it is, and what adds it.
struct Needed {
    mark: &'static str,
    gives: &'static str,
    platform: Option<PlatformKind>,
    remedy: &'static str,
}

/// The queue-proxy's port for metrics of requests.
const QUEUE_PROXY: &str = ":9091/";

impl Needed {
    fn is(&self, target: &serde_json::Value) -> bool {
        let url = target["scrapeUrl"].as_str().unwrap_or_default();
        // Prometheus itself listens on 9090 too.
        url.contains(self.mark) && target["labels"]["job"] != "prometheus"
    }
}

const NEEDED: [Needed; 4] = [
    Needed {
        mark: "/metrics/cadvisor",
        gives: "CPU and memory of containers (cAdvisor)",
        platform: None,
        remedy: "scrape the kubelets' /metrics/cadvisor (kube-prometheus-stack does)",
    },
    Needed {
        mark: QUEUE_PROXY,
        gives: "requests at the queue-proxy",
        platform: Some(PlatformKind::Knative),
        remedy: "add a PodMonitor on port http-usermetric of pods with serving.knative.dev/service",
    },
    Needed {
        mark: ":9090/metrics",
        gives: "Knative's autoscaler and activator",
        platform: Some(PlatformKind::Knative),
        remedy: "add ServiceMonitors on port http-metrics of autoscaler and activator in knative-serving",
    },
    Needed {
        mark: ":8082/",
        gives: "invocations at the OpenFaaS gateway",
        platform: Some(PlatformKind::OpenFaas),
        remedy: "add a PodMonitor on port 8082 of the gateway's pod (it is in no Service)",
    },
];

pub(super) async fn server(p: &Patient<'_>) -> Said {
    let remedy = "a comparison goes on without; install it (cluster-setup/README.md), or give its address as \
                  --prometheus http://HOST:PORT";
    let route = match route(p).await {
        Ok(route) => route,
        Err(why) => return warn(why, remedy),
    };
    match p.http.get(&format!("{}/api/v1/status/buildinfo", route.url), None, None).await {
        Ok(answer) if answer.status == 200 => {
            let version =
                answer.json()["data"]["version"].as_str().unwrap_or("of unknown version").to_owned();
            ok(format!("Prometheus {version} at {} ({})", route.url, route.how))
        }
        Ok(answer) => warn(format!("{} answers {}: is this Prometheus?", route.url, answer.status), remedy),
        Err(error) => warn(format!("{} does not answer: {error}", route.url), remedy),
    }
}

pub(super) async fn targets(p: &Patient<'_>) -> Said {
    let Ok(route) = route(p).await else { return skipped("see Prometheus") };
    let answer = match p.http.get(&format!("{}/api/v1/targets?state=active", route.url), None, None).await {
        Ok(answer) if answer.status == 200 => answer.json(),
        Ok(answer) => return skipped(format!("/api/v1/targets answers {}", answer.status)),
        Err(error) => return skipped(error),
    };
    let active = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
    let mut troubles: Vec<String> = Vec::new();
    let mut remedies: Vec<&str> = Vec::new();
    let wanted = |needed: &&Needed| needed.platform.is_none_or(|k| p.wishes.platforms.contains(&k));
    for needed in NEEDED.iter().filter(wanted) {
        let of_it: Vec<_> = active.iter().filter(|target| needed.is(target)).collect();
        let down = of_it.iter().find(|target| target["health"] == "down");
        match (of_it.iter().any(|target| target["health"] == "up"), down) {
            (true, _) => continue,
            (false, Some(down)) => {
                let why = down["lastError"].as_str().unwrap_or_default();
                troubles.push(format!("{} cannot be scraped ({why})", needed.gives));
            }
            (false, None) => troubles.push(format!("nobody scrapes {}", needed.gives)),
        }
        // The queue-proxies live only as long as a function does.
        let note = if needed.mark == QUEUE_PROXY { " (right now no function may be running)" } else { "" };
        if let Some(last) = troubles.last_mut() {
            last.push_str(note);
        }
        remedies.push(needed.remedy);
    }
    if troubles.is_empty() {
        return ok(format!("{} targets, among them all that the report shows", active.len()));
    }
    warn(format!("{} targets; {}", active.len(), troubles.join("; ")), remedies.join("; "))
}

async fn route(p: &Patient<'_>) -> Result<Route, String> {
    if let Some(url) = &p.cluster.choice.prometheus {
        return Ok(Route::given(url));
    }
    let own = (p.cluster.gateway_namespace(), "prometheus");
    for (namespace, name) in PLACES.into_iter().chain([own]) {
        if let Ok(route) = reach::control(p.cluster, ServicePort { namespace, name, port: 9090 }).await {
            return Ok(route);
        }
    }
    Err(format!("no Service of Prometheus was found in monitoring or {}", own.0))
}
