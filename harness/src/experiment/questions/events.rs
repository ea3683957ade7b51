//! What telling others of each answer costs: without events, beside the answer, and before it, as a
//! published study of Knative did.

use crate::{
    experiment::{Experiment, Metric, Site, Variant, events},
    platforms::PlatformKind,
};

/// One platform, so that its modes are compared with each other: the first, without events, is the
/// baseline.
pub(super) fn experiment(site: Site) -> Experiment {
    let mut experiment = Experiment {
        title: "Events: what it costs to tell of each answer".into(),
        events: Some(events::EventsChoice::default()),
        ..Experiment::default_on(site)
    };
    experiment.set_platforms(&[PlatformKind::Knative]);
    experiment.set_variants(
        events::MODES
            .map(|mode| Variant {
                name: mode.to_owned(),
                env: [(events::MODE.to_owned(), mode.to_owned())].into(),
                ..Variant::default()
            })
            .into(),
    );
    for load in &mut experiment.load {
        load.question = match load.primary_metric {
            Metric::GoodputRps => {
                "How many correct answers a second are left of it with an event for each answer?"
            }
            _ => {
                "How much longer do 95 % of the requests take with an event for each answer, below capacity?"
            }
        }
        .into();
    }
    experiment
}
