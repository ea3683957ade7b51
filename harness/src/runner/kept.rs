//! Questions about zero replicas, put to platforms that never go to zero.

use crate::{
    experiment::{Experiment, Procedure},
    platforms::{FunctionSpec, PlatformKind, ReplicaBounds},
};

/// The replica bounds of an experiment as one platform can have them: where the question is about zero
/// replicas, a platform that keeps one is deployed with one, and says its limit instead of a figure.
/// Everywhere else bounds that a platform cannot have are refused as before.
pub fn bounds(e: &Experiment, platform: PlatformKind) -> ReplicaBounds {
    match platform {
        _ if !asks_for_zero(e) || e.replicas.min > 0 => e.replicas,
        PlatformKind::Knative => e.replicas,
        PlatformKind::OpenFaas => ReplicaBounds { min: 1, ..e.replicas },
        // Their number is fixed.
        PlatformKind::Deployment | PlatformKind::Endpoint => ReplicaBounds { min: 1, max: 1 },
    }
}

/// What the pilot deploys: one replica that does not scale, so that what it serves is what one serves.
pub fn for_pilot(spec: FunctionSpec) -> FunctionSpec {
    if spec.is_pinned() { spec } else { FunctionSpec { replicas: ReplicaBounds { min: 1, max: 1 }, ..spec } }
}

/// What is said before the run of platforms that keep a replica, one sentence each.
pub fn notices(e: &Experiment) -> Vec<String> {
    let kept = e.subjects.iter().filter(|subject| bounds(e, subject.platform) != e.replicas);
    kept.map(|subject| {
        format!(
            "{} does not scale to zero: it is deployed with one replica, and its limit is stated in place of a figure.",
            subject.label
        )
    })
    .collect()
}

fn asks_for_zero(e: &Experiment) -> bool {
    e.load.iter().any(|load| matches!(load.procedure, Procedure::Cold { .. } | Procedure::Eviction { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_question_about_zero_raises_the_bounds_of_a_platform_that_keeps_a_replica() {
        let mut e = Experiment { replicas: ReplicaBounds { min: 0, max: 3 }, ..Experiment::default() };
        assert!(PlatformKind::ALL.iter().all(|&platform| bounds(&e, platform) == e.replicas));
        assert!(notices(&e).is_empty());
        e.load[0].procedure = Procedure::Eviction { at_most: std::time::Duration::from_secs(9) };
        assert_eq!(bounds(&e, PlatformKind::Knative), e.replicas);
        assert_eq!(bounds(&e, PlatformKind::OpenFaas), ReplicaBounds { min: 1, max: 3 });
        assert_eq!(bounds(&e, PlatformKind::Deployment), ReplicaBounds { min: 1, max: 1 });
        assert_eq!(notices(&e).len(), 1);
        assert!(notices(&e)[0].starts_with("openfaas does not scale to zero"));
    }
}
