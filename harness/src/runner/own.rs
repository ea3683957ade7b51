//! What a run with a user's own function needs: its payloads and its check, from the experiment file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::{
    prepare::Prepared,
    sent::{Expected, Sent},
    spec,
};
use crate::{
    drive::Payload,
    experiment::{Experiment, OwnFunction, Site},
};

/// Name of a user's function on every platform.
const FUNCTION_NAME: &str = "own-function";
/// Largest payload; what every platform on the way takes.
const MAX_PAYLOAD_BYTES: u64 = 32 << 20;

/// Reads the payloads and makes the spec.
///
/// # Errors
/// If payloads are missing, or a function of one's own is to run where it cannot.
pub fn prepare(experiment: &Experiment, own: &OwnFunction) -> anyhow::Result<Prepared> {
    if experiment.on == Site::Twin {
        bail!(
            "the twin runs the testbed's own function alone; leave --on twin out to compare an image on a cluster"
        );
    }
    let method = own.method.parse().with_context(|| format!("'{}' is no HTTP method", own.method))?;
    let payloads = payloads(own)?;
    let mut notices = vec![
        "The function is the user's own: its answers name no instance, so cold starts and the spread over replicas \
         are not told from answers."
            .to_owned(),
    ];
    if own.expect_contains.is_none() {
        notices.push(
            "Any answer with a success status counts as correct: function.own.expect-contains is not set."
                .into(),
        );
    }
    let facts = serde_json::json!({
        "image": experiment.function.image,
        "payloads": payloads.iter().map(|p| serde_json::json!({
            "name": p.name, "bytes": p.body.len(), "sha256": models::sha256_hex(&p.body) })).collect::<Vec<_>>(),
    });
    Ok(Prepared {
        spec: spec::common(experiment, FUNCTION_NAME),
        sent: Sent::new(payloads, Expected::Text(own.expect_contains.clone())),
        by_load: std::collections::BTreeMap::new(),
        method,
        notices,
        files: crate::drive::shapes::Files::default(),
        generator: "this machine".to_owned(),
        facts,
    })
}

fn payloads(own: &OwnFunction) -> anyhow::Result<Vec<Payload>> {
    let Some(place) = &own.payloads else {
        return Ok(vec![payload("(empty)".into(), own, Vec::new())]);
    };
    let place = Path::new(place);
    let missing = || format!("cannot read the payloads at {}; mend function.own.payloads", place.display());
    let mut files: Vec<PathBuf> = if fs::metadata(place).with_context(missing)?.is_dir() {
        let entries = fs::read_dir(place).with_context(missing)?;
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
        paths.with_context(missing)?.into_iter().filter(|path| path.is_file()).collect()
    } else {
        vec![place.to_owned()]
    };
    // The order of a folder is the file system's; the seed must draw the same files everywhere.
    files.sort();
    if files.is_empty() {
        bail!("there are no files in {}; put one file a payload there", place.display());
    }
    let read = |path: PathBuf| {
        let bytes = fs::metadata(&path).with_context(missing)?.len();
        if bytes > MAX_PAYLOAD_BYTES {
            bail!("{} has {bytes} bytes; a payload may have up to {MAX_PAYLOAD_BYTES}", path.display());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(payload(name, own, fs::read(&path).with_context(missing)?))
    };
    files.into_iter().map(read).collect()
}

fn payload(name: String, own: &OwnFunction, bytes: Vec<u8>) -> Payload {
    Payload { name, content_type: own.content_type.clone(), body: bytes.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_yields_its_files_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let own = OwnFunction {
            payloads: Some(folder.path().display().to_string()),
            content_type: "text/plain".into(),
            ..OwnFunction::default()
        };
        let names: Vec<_> = payloads(&own).unwrap().into_iter().map(|p| (p.name, p.body)).collect();
        assert_eq!(names, [("a.txt".into(), "a.txt".into()), ("b.txt".into(), "b.txt".into())]);
    }

    #[test]
    fn no_payload_is_an_empty_body_and_a_missing_file_is_named() {
        assert_eq!(payloads(&OwnFunction::default()).unwrap()[0].body.len(), 0);
        let own = OwnFunction { payloads: Some("no/such/file".into()), ..OwnFunction::default() };
        assert!(format!("{:#}", payloads(&own).unwrap_err()).contains("no/such/file"));
    }
}
