//! What was built or sent, for people and for scripts.

use std::{fmt::Write as _, path::PathBuf};

use serde::Serialize;

use crate::image::{Image, Pushed, reference::Reference, short, size_text};

/// An image that was built.
#[derive(Debug, Serialize)]
pub(super) struct Built {
    name: String,
    digest: String,
    architecture: String,
    compressed_bytes: u64,
    layers: Vec<Row>,
    output: Option<PathBuf>,
    output_kind: Option<&'static str>,
}

/// One layer.
#[derive(Debug, Serialize)]
struct Row {
    holds: String,
    compressed_bytes: u64,
    /// None where nobody looked.
    uncompressed_bytes: Option<u64>,
    digest: String,
}

impl Built {
    pub(super) fn new(image: &Image, name: &Reference, output: Option<(PathBuf, &'static str)>) -> Self {
        let layers = image.layers.iter().map(|layer| Row {
            holds: layer.holds.clone(),
            compressed_bytes: layer.blob.size_bytes,
            uncompressed_bytes: layer.uncompressed_bytes,
            digest: layer.blob.digest.clone(),
        });
        Self {
            name: name.familiar(),
            digest: image.digest.clone(),
            architecture: image.architecture.clone(),
            compressed_bytes: image.compressed_bytes(),
            layers: layers.collect(),
            output_kind: output.as_ref().map(|(_, kind)| *kind),
            output: output.map(|(path, _)| path),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut line = |content: String| _ = writeln!(text, "{content}");
        line(format!("{}  linux/{}", self.name, self.architecture));
        line(self.digest.clone());
        let width = self.layers.iter().map(|row| row.holds.chars().count()).max().unwrap_or(0).max(5);
        line(format!("{:<width$}  {:>12}  {:>12}  digest", "layer", "compressed", "unpacked"));
        for row in &self.layers {
            let unpacked = row.uncompressed_bytes.map_or("-".into(), size_text);
            line(format!(
                "{:<width$}  {:>12}  {unpacked:>12}  {}",
                row.holds,
                size_text(row.compressed_bytes),
                short(&row.digest)
            ));
        }
        let unpacked = self.layers.iter().map(|row| row.uncompressed_bytes).sum::<Option<u64>>();
        line(format!(
            "{:<width$}  {:>12}  {:>12}",
            "all",
            size_text(self.compressed_bytes),
            unpacked.map_or("-".into(), size_text)
        ));
        match (&self.output, self.output_kind) {
            (Some(path), Some(kind)) => {
                let path = path.display();
                line(format!("written to {path} ({kind}); next:"));
                if kind == "OCI layout" {
                    line(format!("  skopeo copy oci:{path} containers-storage:{}", self.name));
                } else {
                    line(format!("  podman load -i {path}    or: docker load -i {path}"));
                    line(format!("  ctr -n k8s.io images import {path}"));
                }
                if kind != "Docker archive" {
                    line(format!("  harness image push REGISTRY/{} --from {path}", self.name));
                }
            }
            _ => line(
                "nothing written; next: --output FILE.tar or --output DIR, or `harness image push`".into(),
            ),
        }
        text
    }
}

/// What was sent, for people, and what it is good for.
pub(super) fn pushed(pushed: &Pushed, next: &str) -> String {
    format!(
        "sent {} of {} blobs, {}\n{}\n{next} {}\n",
        pushed.sent_blobs,
        pushed.sent_blobs + pushed.present_blobs,
        size_text(pushed.sent_bytes),
        pushed.reference,
        pushed.reference
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(kind: Option<&'static str>) -> Built {
        let row = |holds: &str, compressed_bytes, uncompressed_bytes| Row {
            holds: holds.into(),
            compressed_bytes,
            uncompressed_bytes,
            digest: format!("sha256:{}", "0123456789abcdef".repeat(4)),
        };
        Built {
            name: "classify:latest".into(),
            digest: format!("sha256:{}", "f".repeat(64)),
            architecture: "amd64".into(),
            compressed_bytes: 16_000_000,
            layers: vec![
                row("/tmp", 312, Some(5120)),
                row("the function's binary", 11_418_168, Some(34_745_792)),
            ],
            output: kind.map(|_| "classify.tar".into()),
            output_kind: kind,
        }
    }

    #[test]
    fn a_build_is_shown_with_sizes_and_what_to_type_next() {
        insta::assert_snapshot!(built(Some("OCI archive")).text() + "\n" + &built(None).text(), @r"
        classify:latest  linux/amd64
        sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
        layer                    compressed      unpacked  digest
        /tmp                        0.31 kB       5.12 kB  0123456789ab
        the function's binary      11.42 MB      34.75 MB  0123456789ab
        all                        16.00 MB      34.75 MB
        written to classify.tar (OCI archive); next:
          podman load -i classify.tar    or: docker load -i classify.tar
          ctr -n k8s.io images import classify.tar
          harness image push REGISTRY/classify:latest --from classify.tar

        classify:latest  linux/amd64
        sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
        layer                    compressed      unpacked  digest
        /tmp                        0.31 kB       5.12 kB  0123456789ab
        the function's binary      11.42 MB      34.75 MB  0123456789ab
        all                        16.00 MB      34.75 MB
        nothing written; next: --output FILE.tar or --output DIR, or `harness image push`
        ");
    }

    #[test]
    fn a_push_ends_with_the_reference_that_is_used_next() {
        let result = Pushed {
            reference: "r.example/classify@sha256:ff".into(),
            tagged: "r.example/classify:1".into(),
            digest: "sha256:ff".into(),
            sent_blobs: 1,
            sent_bytes: 2_000_000,
            present_blobs: 3,
        };
        insta::assert_snapshot!(pushed(&result, "It is used so:\n  harness compare --image"), @r"
        sent 1 of 4 blobs, 2.00 MB
        r.example/classify@sha256:ff
        It is used so:
          harness compare --image r.example/classify@sha256:ff
        ");
    }
}
