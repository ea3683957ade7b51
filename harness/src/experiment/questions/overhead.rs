//! What the platform itself costs: a function that does nothing, and bodies of swept sizes.

use std::time::Duration;

use crate::{
    experiment::{Arrivals, Experiment, LoadPoint, Metric, PayloadChoice, Site, label_subjects},
    platforms::PlatformKind,
};

const KIB: u64 = 1 << 10;
/// Bodies of the sweep, bytes: 1 KiB to 4 MiB, each four times the one before.
const SIZES: [u64; 7] = [KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB];
/// The smallest body that the function takes.
const SMALLEST: [u64; 1] = [1];

/// One connection, so that nothing waits for anything but the platform. On a cluster a plain
/// Deployment is the baseline: the same function without a serverless platform.
pub(super) fn experiment(site: Site) -> Experiment {
    let (warmup, duration) = match site {
        Site::Twin => (Duration::from_secs(1), Duration::from_secs(6)),
        Site::Cluster => (Duration::from_secs(3), Duration::from_secs(30)),
    };
    let platforms = match site {
        Site::Twin => vec![PlatformKind::Knative, PlatformKind::OpenFaas],
        Site::Cluster => vec![PlatformKind::Deployment, PlatformKind::Knative, PlatformKind::OpenFaas],
    };
    let load = |name: &str, question: &str, primary_metric, bytes: &[u64]| LoadPoint {
        name: name.into(),
        question: question.into(),
        primary_metric,
        arrivals: Arrivals::Closed { connections: 1, think_time: Duration::ZERO },
        warmup,
        duration,
        payload: Some(PayloadChoice::Sizes { bytes: bytes.into() }),
        ..LoadPoint::default()
    };
    let mut experiment = Experiment {
        title: "Overhead: what the platform itself costs".into(),
        subjects: label_subjects(&platforms),
        load: vec![
            load(
                "null",
                "How long does a request take whose function does nothing?",
                Metric::ResponseP50Ms,
                &SMALLEST,
            ),
            load("sizes", "What does each further MiB of a request body cost?", Metric::BodyMsPerMib, &SIZES),
        ],
        ..Experiment::default_on(site)
    };
    experiment.function.workload = "null".into();
    experiment
}
