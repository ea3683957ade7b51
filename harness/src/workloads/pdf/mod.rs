//! HTML to PDF: a page goes out, a PDF with its pages and its text has to come back.
//!
//! Sizes: `test` is a letter of one page, `small` an invoice of two with a table, an inline SVG and
//! a PNG, `large` a report of twenty with a picture a chapter, sent as files of a form.

mod documents;
mod judge;
mod picture;
mod text;
mod tokens;

use std::collections::BTreeMap;

use anyhow::bail;
use bytes::Bytes;
use models::Places;
use serde_json::json;

pub use self::documents::{Document, documents};
pub use self::judge::{Expected, PdfJudge};
use super::{
    JudgeSpec, Requests, null,
    payloads::{FormPart, form},
};
use crate::{drive::Payload, experiment::Experiment};

/// Its name, as `WORKLOAD` and experiment files spell it.
pub const NAME: &str = "pdf";

/// Which renderer the function uses.
const RENDERER: &str = "PDF_RENDERER";
/// What it uses where nobody says otherwise.
const USUAL_RENDERER: &str = "native";

/// What a run of it sends, and what counts as a right answer. `say` gets a line before what takes long.
///
/// # Errors
/// If the subjects differ in the renderer: they would do different work under one name.
pub fn requests(experiment: &Experiment, _places: &Places, _say: &dyn Fn(&str)) -> anyhow::Result<Requests> {
    let renderer = renderer(experiment)?;
    let documents = documents(experiment.function.size, experiment.seed);
    let facts = documents.iter().map(|document| {
        json!({ "name": document.name, "pages": document.pages, "html_bytes": document.html.len(),
            "asset_bytes": document.assets.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() })
    });
    Ok(Requests {
        path: null::PATH.to_owned(),
        facts: json!({ "renderer": renderer, "documents": facts.collect::<Vec<_>>() }),
        payloads: documents.iter().map(|document| payload(document, experiment.seed)).collect(),
        expected: JudgeSpec::Pdf {
            expected: documents.into_iter().map(|d| Expected { pages: d.pages, words: d.words }).collect(),
        },
        env: std::iter::once((RENDERER.to_owned(), renderer.clone())).collect(),
        notices: vec![format!(
            "The renderer is {renderer}: its figures say nothing about another renderer, which does other work."
        )],
    })
}

/// Says in a title made by the harness which renderer it is about.
///
/// # Errors
/// As [`requests`].
pub fn name_renderer(experiment: &mut Experiment) -> anyhow::Result<()> {
    let title = super::Kind::Pdf.title();
    if experiment.title.starts_with(title) && !experiment.title.contains('(') {
        let named = format!("{title} ({})", renderer(experiment)?);
        experiment.title = experiment.title.replacen(title, &named, 1);
    }
    Ok(())
}

/// Cargo features of the function that the renderer of this environment needs.
pub fn cargo_features(env: &BTreeMap<String, String>) -> &'static [&'static str] {
    let is_native = env.get(RENDERER).is_none_or(|renderer| renderer == USUAL_RENDERER);
    if is_native { &["pdf-native"] } else { &[] }
}

/// The one renderer of an experiment.
fn renderer(experiment: &Experiment) -> anyhow::Result<String> {
    let common = experiment.function.env.get(RENDERER).map_or(USUAL_RENDERER, String::as_str);
    for variant in &experiment.variants {
        if variant.env.get(RENDERER).is_some_and(|own| own != common) {
            bail!(
                "variants with different renderers would share one figure; set {RENDERER} in [function] env, and \
                 measure each renderer in a run of its own"
            );
        }
    }
    Ok(common.to_owned())
}

fn payload(document: &Document, seed: u64) -> Payload {
    let (content_type, body) = if document.assets.is_empty() {
        ("text/html; charset=utf-8".to_owned(), Bytes::from(document.html.clone()))
    } else {
        let page = FormPart {
            field: "file",
            file_name: "index.html",
            content_type: "text/html",
            bytes: document.html.as_bytes(),
        };
        let assets = document.assets.iter().map(|(name, bytes)| FormPart {
            field: "asset",
            file_name: name,
            content_type: "image/png",
            bytes,
        });
        form(&std::iter::once(page).chain(assets).collect::<Vec<_>>(), seed)
    };
    Payload { name: document.name.clone(), content_type, body }
}

#[cfg(test)]
mod tests;
