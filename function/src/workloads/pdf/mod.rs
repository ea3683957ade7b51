//! HTML to PDF, on A4: the page and its files come in the request, the PDF goes back.
//!
//! Two renderers, never mixed: `native` is pure Rust and no browser, `chromium` is a headless
//! Chromium. To add one: a file beside this, an arm in [`settings::RendererKind`].

pub mod chromium;
pub mod count;
pub mod native;
pub mod page;
pub mod paper;
pub mod settings;

use std::time::Duration;

use serde_json::{Map, Value, json};

use self::page::Page;
use self::settings::RendererKind;
use super::{Answer, Document, Input, Query, Stopwatch, Workload, WorkloadError};
use crate::config::Config;

/// Its name, as `WORKLOAD` spells it.
pub const NAME: &str = "pdf";

/// Media type of the answer.
const CONTENT_TYPE: &str = "application/pdf";

/// Turns one page into a PDF. Called on the inference threads, several at the same time.
///
/// Whatever the page names is looked for among its assets alone: no network, no files.
pub trait Renderer: Send + Sync {
    /// Its name, as `PDF_RENDERER` spells it.
    fn name(&self) -> &'static str;

    /// What it uses (versions, fonts, sandbox), for people and for reports.
    fn about(&self) -> Map<String, Value>;

    /// Headers that it puts on every answer.
    fn headers(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Ends what it has started, such as other processes.
    fn stop(&self) {}

    /// Renders within the limits.
    ///
    /// # Errors
    /// `TooLarge` if a limit cuts it off, `Internal` if the renderer itself fails.
    fn render(&self, page: &Page, limits: &Limits) -> Result<Vec<u8>, WorkloadError>;
}

/// What one page may take. The renderer holds itself to the time; pages and bytes are checked
/// again on what comes out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `PDF_RENDER_SECONDS`: from the page to the PDF.
    pub render: Duration,
    /// `PDF_MAX_PAGES`.
    pub pages: u32,
    /// `PDF_MAX_BYTES`: length of the PDF.
    pub pdf_bytes: usize,
}

/// Makes the workload ready to be called.
///
/// # Errors
/// If a setting is bad, or the renderer is not there.
pub fn load(config: &Config) -> anyhow::Result<Box<dyn Workload>> {
    let renderer = match config.pdf.renderer {
        RendererKind::Native => native::load(config)?,
        RendererKind::Chromium => chromium::load(config)?,
    };
    Ok(Box::new(Pdf { renderer, limits: config.pdf.limits }))
}

struct Pdf {
    renderer: Box<dyn Renderer>,
    limits: Limits,
}

impl Pdf {
    /// Renders and counts the pages; what breaks a limit is refused.
    fn render(&self, page: &Page, watch: &mut Stopwatch) -> Result<(Vec<u8>, u32), WorkloadError> {
        let pdf = self.renderer.render(page, &self.limits)?;
        watch.lap("render");
        if pdf.len() > self.limits.pdf_bytes {
            return Err(WorkloadError::TooLarge(format!(
                "the PDF has {} bytes; the limit is {} (PDF_MAX_BYTES)",
                pdf.len(),
                self.limits.pdf_bytes
            )));
        }
        let broken = |error| {
            let name = self.renderer.name();
            WorkloadError::Internal(format!("the {name} renderer made no whole PDF: {error}"))
        };
        let pages = count::pages(&pdf).map_err(broken)?;
        if pages > self.limits.pages {
            return Err(WorkloadError::TooLarge(format!(
                "the PDF has {pages} pages; the limit is {} (PDF_MAX_PAGES)",
                self.limits.pages
            )));
        }
        if let Some([width, height]) = paper::other_than_a4(&pdf).map_err(broken)? {
            return Err(WorkloadError::Unsupported(format!(
                "the page asks for paper of {width:.0} by {height:.0} mm, and paper is A4 here; leave the size out of \
                 its @page rule"
            )));
        }
        watch.lap("count");
        Ok((pdf, pages))
    }
}

impl Workload for Pdf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> Map<String, Value> {
        let mut about = self.renderer.about();
        about.insert("renderer".into(), json!(self.renderer.name()));
        about.insert("render_seconds".into(), json!(self.limits.render.as_secs_f64()));
        about.insert("pages".into(), json!(self.limits.pages));
        about.insert("pdf_bytes".into(), json!(self.limits.pdf_bytes));
        about
    }

    fn warm_up(&self) -> Result<(), WorkloadError> {
        let page = Page { html: page::WARM_UP.to_owned(), assets: Vec::new() };
        self.render(&page, &mut Stopwatch::start()).map(drop)
    }

    fn stop(&self) {
        self.renderer.stop();
    }

    fn handle(&self, input: &Input, _query: &Query) -> Result<Answer, WorkloadError> {
        let mut watch = Stopwatch::start();
        let page = Page::from_input(input)?;
        watch.lap("read");
        let (pdf, pages) = self.render(&page, &mut watch)?;
        let mut headers =
            vec![("x-pdf-pages", pages.to_string()), ("x-pdf-renderer", self.renderer.name().to_owned())];
        headers.extend(self.renderer.headers());
        Ok(Answer {
            document: Some(Document { content_type: CONTENT_TYPE, bytes: pdf.into() }),
            headers,
            stages: watch.stages(),
            ..Answer::default()
        })
    }
}

#[cfg(test)]
mod tests;
