//! What a run of the null workload needs beside its usual requests: bodies of the sizes that load points ask
//! for.

use std::collections::BTreeMap;

use super::{
    made,
    prepare::{Prepared, Sources},
    sent::{Expected, Sent},
};
use crate::{
    experiment::{Experiment, PayloadChoice},
    workloads::{Kind, null},
};

/// Finds the function's binary and makes the bodies.
///
/// # Errors
/// If the binary is missing; the message names the remedy.
pub async fn prepare(
    experiment: &Experiment,
    sources: &Sources,
    say: &dyn Fn(&str),
) -> anyhow::Result<Prepared> {
    let mut prepared = made::prepare(Kind::Null, experiment, sources, say).await?;
    let mut sizes = BTreeMap::new();
    for load in &experiment.load {
        if let Some(PayloadChoice::Sizes { bytes }) = &load.payload {
            let sent = Sent::new(null::payloads(bytes, experiment.seed), Expected::Checksum);
            prepared.by_load.insert(load.name.clone(), sent);
            sizes.insert(&load.name, bytes);
        }
    }
    prepared.facts["bodies"] = "random bytes that follow from the seed".into();
    prepared.facts["body_bytes"] = serde_json::json!(sizes);
    Ok(prepared)
}
