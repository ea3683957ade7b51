//! Step load: time to scale, over- and under-provisioning.

use crate::experiment::{Experiment, Site};

/// Cannot be asked yet.
pub(super) fn experiment(_site: Site) -> Option<Experiment> {
    None
}
