//! Who can reach a deployed function. A workload that runs programs of strangers is never offered to the world by
//! accident: unless a flag says so, it is reachable inside the cluster alone, or is not deployed. Pure.
//!
//! | platform | usual | without the flag |
//! |---|---|---|
//! | Knative | the ingress for requests from outside | `networking.knative.dev/visibility: cluster-local` |
//! | Deployment | a Service with a node port | a Service with an address inside the cluster |
//! | OpenFaaS | whoever reaches the gateway reaches every function | refused: there is no such thing for one function |
//! | endpoint, twin | nothing is deployed; loopback | the same |

use super::{FunctionSpec, PlatformError, PlatformKind};
use crate::{experiment::Experiment, workloads::Kind};

/// What allows it, for messages.
pub const ALLOW: &str =
    "allow whoever reaches it from outside to run programs there with --allow-public-grading";
/// What makes load reach a function that is reachable inside the cluster alone.
pub const FROM_INSIDE: &str = "run the harness on a node of the cluster, let workers there send the load \
     (--load-from cluster), or let it go through a port-forward (--load-through-port-forward)";

/// Who can reach a deployed function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Whoever reaches the platform's way in.
    Usual,
    /// What runs in the cluster, and who can send into its networks.
    InsideAlone,
}

impl FunctionSpec {
    /// Who is to reach it.
    pub fn exposure(&self) -> Exposure {
        if self.runs_strangers_code() && !self.allow_public_grading {
            Exposure::InsideAlone
        } else {
            Exposure::Usual
        }
    }

    /// Whether one of its revisions runs what callers send. An image may choose its workload itself; images of
    /// users' own functions are asked for it where they are pinned.
    fn runs_strangers_code(&self) -> bool {
        let of_revisions = self.revisions.iter().map(|share| &share.env);
        std::iter::once(&self.env).chain(of_revisions).any(|env| {
            let kind = env.get("WORKLOAD").and_then(|name| name.parse::<Kind>().ok());
            kind.is_some_and(Kind::runs_strangers_code)
        })
    }
}

/// Refuses, for a cluster, a platform that cannot keep a function from those who may not reach it.
///
/// # Errors
/// [`PlatformError::Limit`] that names the flag.
pub fn accept(kind: PlatformKind, spec: &FunctionSpec) -> Result<(), PlatformError> {
    if kind != PlatformKind::OpenFaas || spec.exposure() == Exposure::Usual {
        return Ok(());
    }
    Err(PlatformError::Limit {
        platform: kind.name(),
        limit:
            "the function runs programs that callers send, and the gateway hands every function to whoever \
                reaches the gateway"
                .to_owned(),
        remedy: format!(
            "take knative or deployment, where it is then reachable inside the cluster alone, or {ALLOW}"
        ),
    })
}

/// What is said at the start of a run on a cluster; none for a workload that runs nobody's code.
pub fn notice(e: &Experiment) -> Option<String> {
    let kind = e.function.workload.parse().ok().filter(|kind: &Kind| kind.runs_strangers_code())?;
    Some(if e.function.allow_public_grading {
        format!(
            "{kind} runs the programs that callers send, and --allow-public-grading is given: while it is deployed, \
             whoever reaches the cluster's ingress, gateway or node ports can run programs in its sandbox."
        )
    } else {
        format!(
            "{kind} runs the programs that callers send, so it is reachable inside the cluster alone (Knative: \
             cluster-local, through the inner gateway; Deployment: no node port)."
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::platforms::{RevisionShare, cluster::testing};

    fn grading(workload: &str, allow_public_grading: bool) -> FunctionSpec {
        let env = BTreeMap::from([("WORKLOAD".to_owned(), workload.to_owned())]);
        FunctionSpec { env, allow_public_grading, ..testing::spec(1, 1) }
    }

    #[test]
    fn what_runs_strangers_code_is_reachable_inside_alone_unless_the_flag_is_given() {
        for workload in ["grade-c", "grade-python"] {
            assert_eq!(grading(workload, false).exposure(), Exposure::InsideAlone);
            assert_eq!(grading(workload, true).exposure(), Exposure::Usual);
        }
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.name().starts_with("grade")) {
            assert_eq!(grading(kind.name(), false).exposure(), Exposure::Usual, "{kind}");
        }
    }

    #[test]
    fn a_revision_that_grades_is_enough() {
        let env = BTreeMap::from([("WORKLOAD".to_owned(), "grade-c".to_owned())]);
        let share = RevisionShare { name: "canary".to_owned(), percent: 100, env };
        let spec = FunctionSpec { revisions: vec![share], ..testing::spec(1, 1) };
        assert_eq!(spec.exposure(), Exposure::InsideAlone);
    }

    #[test]
    fn openfaas_is_refused_with_the_flag_named_and_the_others_are_closed() {
        insta::assert_snapshot!(accept(PlatformKind::OpenFaas, &grading("grade-c", false)).unwrap_err(), @"openfaas cannot do this: the function runs programs that callers send, and the gateway hands every function to whoever reaches the gateway; take knative or deployment, where it is then reachable inside the cluster alone, or allow whoever reaches it from outside to run programs there with --allow-public-grading");
        for kind in [PlatformKind::Knative, PlatformKind::Deployment, PlatformKind::Endpoint] {
            assert!(accept(kind, &grading("grade-c", false)).is_ok());
        }
        assert!(accept(PlatformKind::OpenFaas, &grading("grade-c", true)).is_ok());
        assert!(accept(PlatformKind::OpenFaas, &grading("null", false)).is_ok());
    }
}
