//! Equal, fixed replicas: goodput under a closed loop, p95 under Poisson arrivals.

use crate::experiment::{Experiment, Site};

/// The experiment that also runs when nobody names a question.
pub(super) fn experiment(site: Site) -> Experiment {
    Experiment::default_on(site)
}
