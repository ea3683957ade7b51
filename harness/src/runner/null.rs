//! What a run of the null workload needs: bodies of the sizes that are asked for, and the function's
//! binary on the twin. No model, no pictures.

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
    experiment::{Experiment, PayloadChoice, Site},
    workloads::null,
};

/// Name of the function on every platform.
const FUNCTION_NAME: &str = "null";

/// Finds the function's binary and makes the bodies.
///
/// # Errors
/// If the binary is missing; the message names the remedy.
pub async fn prepare(
    experiment: &Experiment,
    sources: &Sources,
    say: &dyn Fn(&str),
) -> anyhow::Result<Prepared> {
    let mut spec = spec::common(experiment, FUNCTION_NAME);
    let mut function_sha256 = None;
    if experiment.on == Site::Twin {
        spec.binary = function_binary::find_or_build(sources.function_binary.as_deref(), &[], say).await?;
        let cannot = || format!("cannot read {}", spec.binary.display());
        function_sha256 = Some(sha256_file(&spec.binary).with_context(cannot)?);
    }
    let bodies = |bytes: &[u64]| Sent::new(null::payloads(bytes, experiment.seed), Expected::Checksum);
    let by_load: BTreeMap<String, Sent> = experiment
        .load
        .iter()
        .filter_map(|load| match &load.payload {
            Some(PayloadChoice::Sizes { bytes }) => Some((load.name.clone(), bodies(bytes))),
            _ => None,
        })
        .collect();
    let sizes: BTreeMap<&String, Vec<usize>> = by_load
        .iter()
        .map(|(load, all)| (load, all.payloads.iter().map(|p| p.body.len()).collect()))
        .collect();
    Ok(Prepared {
        facts: serde_json::json!({
            "function_sha256": function_sha256,
            "image": experiment.function.image,
            "bodies": "random bytes that follow from the seed",
            "body_bytes": sizes,
        }),
        spec,
        sent: bodies(&[null::USUAL_BYTES]),
        by_load,
        method: hyper::Method::POST,
        notices: Vec::new(),
        generator: "this machine".to_owned(),
        files: crate::drive::shapes::Files::default(),
    })
}
