//! The renderer that is a browser: headless Chromium, one process kept warm, a fresh browser context
//! for each document.
//!
//! `connection` speaks its protocol, `browser` starts and ends it through `launcher`, `document`
//! renders one page, and `fence` decides what a page gets.

mod browser;
mod connection;
mod document;
mod fence;
mod flags;
pub mod launcher;
pub mod settings;
mod stable;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use self::browser::{Browser, Plan};
use self::settings::{Choice, Settings};
use super::page::{Page, WARM_UP};
use super::{Limits, Renderer};
use crate::config::Config;
use crate::workloads::WorkloadError;

/// Its name, as `PDF_RENDERER` spells it.
pub const NAME: &str = "chromium";

/// What a PDF with an embedded font contains (PDF 32000-1:2008, 9.9).
const EMBEDDED_FONT: &[u8] = b"/FontFile";

/// A browser that is always there.
struct Chromium {
    plan: Plan,
    documents_per_browser: u64,
    /// None after the end.
    current: Mutex<Option<Arc<Browser>>>,
    product: String,
    own_network: bool,
}

/// Finds the browser and starts it, shut in as well as the container allows.
///
/// # Errors
/// If there is none, it does not start, or it has no fonts.
pub fn load(config: &Config) -> anyhow::Result<Box<dyn Renderer>> {
    browser::remove_leftovers();
    let settings = &config.pdf.chromium;
    let program = settings.find_program(std::env::var_os("PATH").as_deref())?;
    let (plan, browser) = start_best(settings, &program)?;
    let (product, own_network) = (browser.product.clone(), browser.own_network);
    let chromium = Chromium {
        plan,
        documents_per_browser: settings.documents,
        current: Mutex::new(Some(Arc::new(browser))),
        product,
        own_network,
    };
    if !chromium.plan.sandbox {
        // The first line on stdout is the address.
        eprintln!("function: the sandbox of the browser is {}", chromium.sandbox());
    }
    let page = Page { html: WARM_UP.to_owned(), assets: Vec::new() };
    let pdf = chromium.render(&page, &config.pdf.limits).context("the browser renders nothing")?;
    if stable::find(&pdf, EMBEDDED_FONT).is_none() {
        bail!("the browser finds no fonts; install some (Debian: apt-get install fonts-dejavu-core)");
    }
    Ok(Box::new(chromium))
}

/// The first way of starting that works, the safest first: Chromium's own sandbox matters more than
/// a network namespace, which is a second line.
fn start_best(settings: &Settings, program: &Path) -> anyhow::Result<(Plan, Browser)> {
    let mut failures = Vec::new();
    for &sandbox in settings.sandbox.attempts() {
        for &own_network in settings.own_network.attempts() {
            let plan = Plan {
                program: program.to_owned(),
                sandbox,
                own_network,
                process_bytes: settings.process_bytes,
            };
            match Browser::start(&plan) {
                Ok(browser) if browser.own_network || settings.own_network != Choice::On => {
                    return Ok((plan, browser));
                }
                Ok(_) => failures.push("the system gives it no network namespace".to_owned()),
                Err(error) => failures.push(error.to_string()),
            }
        }
    }
    // The last attempt asked for least.
    let failure = failures.pop().unwrap_or_default();
    bail!(
        "{}: {failure}; CHROMIUM_SANDBOX={:?} and CHROMIUM_NAMESPACE={:?} were tried (auto, on, off)",
        program.display(),
        settings.sandbox,
        settings.own_network
    )
}

impl Chromium {
    /// The browser for the next document: a fresh one if the last one ended, or has had its share.
    fn browser(&self) -> Result<Arc<Browser>, WorkloadError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(browser) = &*current
            && !browser.connection().has_ended()
            && browser.count_document() < self.documents_per_browser
        {
            return Ok(Arc::clone(browser));
        }
        // Those who still render keep the old one until they are done.
        *current = None;
        let browser =
            Browser::start(&self.plan).map_err(|error| WorkloadError::Internal(error.to_string()))?;
        browser.count_document();
        let browser = Arc::new(browser);
        *current = Some(Arc::clone(&browser));
        Ok(browser)
    }

    /// One sentence on the sandbox, for people.
    fn sandbox(&self) -> &'static str {
        if self.plan.sandbox {
            "on"
        } else {
            "off: Chromium runs without its own sandbox, which this container does not allow or CHROMIUM_SANDBOX \
             switches off; a page that breaks out of its renderer is in this container"
        }
    }
}

impl Renderer for Chromium {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> Map<String, Value> {
        let network =
            if self.own_network { "none: an empty network namespace" } else { "closed by flags alone" };
        let mut about = Map::new();
        about.insert("browser".into(), json!(self.product));
        about.insert("sandbox".into(), json!(self.sandbox()));
        about.insert("network".into(), json!(network));
        about.insert("documents_per_browser".into(), json!(self.documents_per_browser));
        about.insert("process_bytes".into(), json!(self.plan.process_bytes));
        about
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let sandbox = if self.plan.sandbox { "on" } else { "off" };
        vec![("x-pdf-browser", self.product.clone()), ("x-pdf-sandbox", sandbox.to_owned())]
    }

    fn render(&self, page: &Page, limits: &Limits) -> Result<Vec<u8>, WorkloadError> {
        let browser = self.browser()?;
        let mut pdf = document::render(browser.connection(), page, limits)?;
        stable::fix_dates(&mut pdf);
        Ok(pdf)
    }

    fn stop(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
