//! What a platform cannot do, checked before anything is started. Pure.

use std::time::Duration;

use crate::scaling::{
    knative::KpaConfig,
    openfaas::{AlertConfig, MAX_REPLICAS},
};

use super::{FunctionSpec, PlatformError, PlatformKind, knative::manifest};

/// Scaling rules of one platform, made from a spec.
#[derive(Debug, Clone, PartialEq)]
pub enum ScalingRules {
    /// Knative's KPA and the request time limit.
    Knative(KpaConfig),
    /// OpenFaaS CE's alert rule.
    OpenFaas(AlertConfig),
    /// None: the number of replicas is fixed, or not ours to choose.
    Fixed,
}

/// A spec's settings as one platform understands them.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// How replicas are scaled.
    pub scaling: ScalingRules,
    /// How long the platform waits for the function's answer.
    pub request_timeout: Duration,
}

/// Checks a spec against the limits of a platform and reads its settings.
///
/// # Errors
/// [`PlatformError::Limit`] with the limit and the remedy.
pub fn accept(kind: PlatformKind, spec: &FunctionSpec) -> Result<Accepted, PlatformError> {
    let limit = |limit: String, remedy: &str| {
        Err(PlatformError::Limit { platform: kind.name(), limit, remedy: remedy.to_owned() })
    };
    let bounds = spec.replicas;
    if !is_dns_label(&spec.name) {
        return limit(
            format!("'{}' is no name for a function", spec.name),
            "use at most 63 lower-case letters, digits and hyphens, beginning with a letter",
        );
    }
    if bounds.max == 0 || bounds.min > bounds.max {
        return limit(
            format!("replicas from {} to {} is no range", bounds.min, bounds.max),
            "set replicas.max to at least 1 and to at least replicas.min",
        );
    }
    if !(spec.cpu_cores > 0.0 && spec.cpu_cores.is_finite()) {
        return limit(format!("{} cores is no CPU limit", spec.cpu_cores), "set cpu-cores above 0");
    }
    match kind {
        PlatformKind::Knative => {
            if spec.container_concurrency > 1000 {
                return limit(
                    format!("a container concurrency of {} (at most 1000)", spec.container_concurrency),
                    "set container-concurrency to 0 (no limit) or 1 to 1000",
                );
            }
            accept_knative(spec)
        }
        PlatformKind::OpenFaas => {
            if bounds.min == 0 {
                return limit(
                    "the Community Edition does not scale to zero".to_owned(),
                    "set replicas.min to 1",
                );
            }
            if bounds.max > MAX_REPLICAS {
                return limit(
                    format!(
                        "{} replicas; the Community Edition allows {MAX_REPLICAS} per function",
                        bounds.max
                    ),
                    "set replicas.max (--replicas) to 5 or fewer",
                );
            }
            accept_openfaas(spec)
        }
        PlatformKind::Deployment if !spec.is_pinned() => limit(
            format!("replicas from {} to {}; a plain Deployment has no autoscaler", bounds.min, bounds.max),
            "set replicas.min and replicas.max to the same number (--replicas)",
        ),
        PlatformKind::Deployment | PlatformKind::Endpoint => match spec.platform_settings.keys().next() {
            Some(key) => refused(kind, &format!("{key} is no setting of this platform")),
            None => Ok(Accepted { scaling: ScalingRules::Fixed, request_timeout: Duration::MAX }),
        },
    }
}

fn accept_knative(spec: &FunctionSpec) -> Result<Accepted, PlatformError> {
    let mut kpa =
        KpaConfig { min_scale: spec.replicas.min, max_scale: spec.replicas.max, ..KpaConfig::default() };
    let concurrency = f64::from(spec.container_concurrency);
    if concurrency > 0.0 {
        // Without a target annotation the hard limit is the target (knative/serving
        // `ResolveMetricTarget`).
        kpa.target = concurrency;
    }
    let mut timeout_s = 300;
    // A cluster knows more settings than the twin; the part that both know describes the rules.
    let on_cluster = spec.image.is_some();
    if on_cluster {
        timeout_s = manifest::settings(spec)?.timeout_s;
    }
    for (key, value) in &spec.platform_settings {
        if on_cluster {
            _ = kpa.set(key, value);
        } else if key == "timeout-seconds" {
            timeout_s = match value.parse() {
                Ok(seconds @ 1..=600) => seconds,
                _ => return refused(PlatformKind::Knative, &format!("{key} = {value}: write 1 to 600")),
            };
        } else if let Err(bad) = kpa.set(key, value) {
            return refused(PlatformKind::Knative, &bad.to_string());
        }
    }
    if concurrency > 0.0 {
        kpa.target = kpa.target.min(concurrency);
    }
    Ok(Accepted { scaling: ScalingRules::Knative(kpa), request_timeout: Duration::from_secs(timeout_s) })
}

fn accept_openfaas(spec: &FunctionSpec) -> Result<Accepted, PlatformError> {
    let mut alert = AlertConfig { min: spec.replicas.min, max: spec.replicas.max, ..AlertConfig::default() };
    let mut request_timeout = Duration::from_mins(1);
    for (key, value) in &spec.platform_settings {
        if key == "upstream-timeout" {
            request_timeout = match humantime::parse_duration(value) {
                Ok(duration) if !duration.is_zero() => duration,
                _ => {
                    let problem = format!("{key} = {value}: write a duration, for example 60s");
                    return refused(PlatformKind::OpenFaas, &problem);
                }
            };
        } else if let Err(bad) = alert.set(key, value) {
            return refused(PlatformKind::OpenFaas, &bad.to_string());
        }
    }
    Ok(Accepted { scaling: ScalingRules::OpenFaas(alert), request_timeout })
}

fn refused(kind: PlatformKind, problem: &str) -> Result<Accepted, PlatformError> {
    Err(PlatformError::Limit {
        platform: kind.name(),
        limit: problem.to_owned(),
        remedy: "change or remove it in the platform's settings".to_owned(),
    })
}

/// RFC 1035 label, which Knative demands and Kubernetes accepts everywhere.
pub fn is_dns_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 63
        && name.bytes().all(inner)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use super::*;
    use crate::platforms::ReplicaBounds;

    fn spec(min: u32, max: u32, settings: &[(&str, &str)]) -> FunctionSpec {
        FunctionSpec {
            name: "classify".into(),
            binary: PathBuf::from("function"),
            env: BTreeMap::new(),
            path: "/predict".into(),
            cpu_cores: 1.0,
            memory_mib: 256,
            container_concurrency: 0,
            replicas: ReplicaBounds { min, max },
            platform_settings: settings.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            image: None,
            revisions: Vec::new(),
            storage_secret: None,
            allow_public_grading: false,
        }
    }

    fn refusal(kind: PlatformKind, spec: &FunctionSpec) -> String {
        accept(kind, spec).unwrap_err().to_string()
    }

    #[test]
    fn openfaas_refuses_six_replicas_and_scale_to_zero_with_the_remedy() {
        insta::assert_snapshot!(refusal(PlatformKind::OpenFaas, &spec(1, 6, &[])), @"openfaas cannot do this: 6 replicas; the Community Edition allows 5 per function; set replicas.max (--replicas) to 5 or fewer");
        insta::assert_snapshot!(refusal(PlatformKind::OpenFaas, &spec(0, 1, &[])), @"openfaas cannot do this: the Community Edition does not scale to zero; set replicas.min to 1");
    }

    #[test]
    fn refused_settings_name_the_key_and_what_is_accepted() {
        insta::assert_snapshot!(refusal(PlatformKind::OpenFaas, &spec(1, 5, &[("com.openfaas.scale.zero", "true")])), @"openfaas cannot do this: com.openfaas.scale.zero = true: not available in the Community Edition; leave it out; change or remove it in the platform's settings");
        insta::assert_snapshot!(refusal(PlatformKind::Knative, &spec(0, 5, &[("window", "1s")])), @"knative cannot do this: window = 1s: write 6s to 1h; change or remove it in the platform's settings");
        insta::assert_snapshot!(refusal(PlatformKind::Knative, &spec(0, 5, &[("timeout-seconds", "601")])), @"knative cannot do this: timeout-seconds = 601: write 1 to 600; change or remove it in the platform's settings");
    }

    #[test]
    fn bounds_and_names_that_make_no_sense_are_refused_on_both() {
        for kind in PlatformKind::ALL {
            assert!(accept(kind, &spec(1, 1, &[])).is_ok());
            assert!(accept(kind, &spec(3, 2, &[])).is_err());
            assert!(accept(kind, &spec(0, 0, &[])).is_err());
            for name in ["", "Classify", "1x", "a_b", "x-"] {
                assert!(
                    accept(kind, &FunctionSpec { name: name.into(), ..spec(1, 1, &[]) }).is_err(),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn the_container_concurrency_is_knatives_target_unless_a_lower_one_is_set() {
        let target = |concurrency, settings: &[(&str, &str)]| {
            let spec = FunctionSpec { container_concurrency: concurrency, ..spec(1, 3, settings) };
            match accept(PlatformKind::Knative, &spec).unwrap().scaling {
                ScalingRules::Knative(kpa) => kpa.target,
                _ => unreachable!(),
            }
        };
        assert!((target(0, &[]) - 100.0).abs() < 1e-9);
        assert!((target(4, &[]) - 4.0).abs() < 1e-9);
        assert!((target(4, &[("target", "2")]) - 2.0).abs() < 1e-9);
        assert!((target(4, &[("target", "9")]) - 4.0).abs() < 1e-9);
    }
}
