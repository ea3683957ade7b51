//! One document: a fresh browser context, the page loaded within the fence, printed, all of it thrown
//! away.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::connection::{CallError, Connection, Inbox, Message};
use super::fence::{self, Navigation, Verdict};
use crate::workloads::WorkloadError;
use crate::workloads::pdf::Limits;
use crate::workloads::pdf::page::Page;

/// A browser that cannot throw a page away in so long is itself thrown away.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// A4 (ISO 216) in inches, as the protocol wants it: 210 mm by 297 mm.
const A4_INCHES: (f64, f64) = (210.0 / 25.4, 297.0 / 25.4);
/// Margins of a page that names none, as those of the native renderer: 20 mm.
const MARGIN_INCHES: f64 = 20.0 / 25.4;

/// Bytes of the PDF in one message.
const CHUNK_BYTES: usize = 4 << 20;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the page's process ended")]
    Crashed,
    #[error("the PDF is longer than {limit} bytes")]
    TooLong { limit: usize },
}

/// Renders a page in a browser context of its own.
///
/// # Errors
/// `TooLarge` if the page took too long, too much memory or too many bytes, `Damaged` if the browser
/// does not print it, `Internal` if the browser ended.
pub fn render(connection: &Connection, page: &Page, limits: &Limits) -> Result<Vec<u8>, WorkloadError> {
    let until = Instant::now() + limits.render;
    let inbox = connection.inbox();
    let context = match inbox.ask("Target.createBrowserContext", &json!({ "disposeOnDetach": true }), until) {
        Ok(created) => created["browserContextId"].clone(),
        Err(error) => {
            // No page runs yet: it is the browser that hangs.
            connection.end();
            return Err(WorkloadError::Internal(format!("no page could be opened: {error}")));
        }
    };
    let pdf = Document::open(&inbox, &context, page, until).and_then(|mut document| {
        let pdf = document.load().and_then(|()| document.print(limits));
        if pdf.is_err() {
            // Ends scripts that never end; the dead do not answer.
            let _ = inbox.send(Some(&document.session), "Page.crash", &json!({}));
        }
        pdf
    });
    let close = json!({ "browserContextId": context });
    if inbox.ask("Target.disposeBrowserContext", &close, Instant::now() + CLOSE_LIMIT).is_err() {
        connection.end();
    }
    pdf.map_err(|cut| explain(&cut, limits))
}

fn explain(cut: &Cut, limits: &Limits) -> WorkloadError {
    match cut {
        Cut::Call(CallError::Time) => WorkloadError::TooLarge(format!(
            "the page was not a PDF after {} s (PDF_RENDER_SECONDS); an endless script, or too much of it",
            limits.render.as_secs_f64()
        )),
        Cut::Call(CallError::Ended) => {
            WorkloadError::Internal("the browser ended while it rendered; send the page again".into())
        }
        Cut::Call(CallError::Refused { .. }) => {
            WorkloadError::Damaged(format!("the browser cannot render this page: {cut}"))
        }
        Cut::Crashed => WorkloadError::TooLarge(
            "the page's process ended, as it does when a page takes too much memory (CHROMIUM_PROCESS_BYTES) or \
             nests too deeply"
                .into(),
        ),
        Cut::TooLong { limit } => {
            WorkloadError::TooLarge(format!("the PDF is longer than {limit} bytes (PDF_MAX_BYTES)"))
        }
    }
}

/// A page in the browser.
struct Document<'a> {
    inbox: &'a Inbox<'a>,
    page: &'a Page,
    until: Instant,
    session: String,
    /// The id of the main frame is that of the target.
    frame: String,
    was_served: bool,
    /// It tried to become another page, or to reload itself.
    tried_to_leave: bool,
    /// Loads of the main frame that have finished, by their id.
    loaded: Vec<String>,
}

impl<'a> Document<'a> {
    /// Opens an empty page and puts the fence around it.
    fn open(inbox: &'a Inbox<'a>, context: &Value, page: &'a Page, until: Instant) -> Result<Self, Cut> {
        let create = json!({ "url": "about:blank", "browserContextId": context });
        let target = text(&inbox.ask("Target.createTarget", &create, until)?["targetId"]);
        let attach = json!({ "targetId": target, "flatten": true });
        let session = text(&inbox.ask("Target.attachToTarget", &attach, until)?["sessionId"]);
        inbox.adopt(&session);
        let mut document = Self {
            inbox,
            page,
            until,
            session,
            frame: target,
            was_served: false,
            tried_to_leave: false,
            loaded: Vec::new(),
        };
        document.call("Fetch.enable", &json!({ "patterns": [{ "urlPattern": "*" }] }))?;
        document.call("Inspector.enable", &json!({}))?;
        document.call("Page.enable", &json!({}))?;
        document.call("Page.setLifecycleEventsEnabled", &json!({ "enabled": true }))?;
        // Whatever the page opens is stopped before it begins.
        let children = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        document.call("Target.setAutoAttach", &children)?;
        Ok(document)
    }

    /// Loads the page: done with its load event, and when the fonts that it uses are there.
    fn load(&mut self) -> Result<(), Cut> {
        let navigated = self.call("Page.navigate", &json!({ "url": fence::ORIGIN }))?;
        if let Some(error) = navigated["errorText"].as_str() {
            return Err(CallError::Refused { method: "Page.navigate", message: error.to_owned() }.into());
        }
        let load = text(&navigated["loaderId"]);
        while !self.loaded.contains(&load) {
            let message = self.inbox.next(self.until)?;
            self.react(message)?;
        }
        // A world of its own: the page cannot have changed what the words mean there.
        let world = self.call("Page.createIsolatedWorld", &json!({ "frameId": self.frame }))?;
        let fonts = json!({
            "expression": "document.fonts.ready.then(() => 0)",
            "contextId": world["executionContextId"],
            "awaitPromise": true,
        });
        self.call("Runtime.evaluate", &fonts)?;
        Ok(())
    }

    fn print(&mut self, limits: &Limits) -> Result<Vec<u8>, Cut> {
        let printed = self.call(
            "Page.printToPDF",
            &json!({
                "paperWidth": A4_INCHES.0,
                "paperHeight": A4_INCHES.1,
                "marginTop": MARGIN_INCHES,
                "marginBottom": MARGIN_INCHES,
                "marginLeft": MARGIN_INCHES,
                "marginRight": MARGIN_INCHES,
                // Else a page that names other paper would be shrunk to A4; so it shows, and is refused.
                "preferCSSPageSize": true,
                "printBackground": true,
                // One more than allowed, so that it shows.
                "pageRanges": format!("1-{}", limits.pages.saturating_add(1)),
                "transferMode": "ReturnAsStream",
                "generateTaggedPDF": false,
                "generateDocumentOutline": false,
            }),
        )?;
        let mut pdf = Vec::new();
        loop {
            let part = self.call("IO.read", &json!({ "handle": printed["stream"], "size": CHUNK_BYTES }))?;
            let data = part["data"].as_str().unwrap_or_default();
            if part["base64Encoded"] == true {
                BASE64_STANDARD.decode_vec(data, &mut pdf).map_err(|_| CallError::Ended)?;
            } else {
                pdf.extend_from_slice(data.as_bytes());
            }
            if pdf.len() > limits.pdf_bytes {
                return Err(Cut::TooLong { limit: limits.pdf_bytes });
            }
            if part["eof"] == true {
                return Ok(pdf);
            }
        }
    }

    /// Asks the page's session, and deals with what happens meanwhile.
    fn call(&mut self, method: &'static str, params: &Value) -> Result<Value, Cut> {
        let asked = self.send(method, params)?;
        loop {
            match self.inbox.next(self.until)? {
                Message::Reply { id, result } if id == asked => {
                    return result.map_err(|message| CallError::Refused { method, message }.into());
                }
                message => self.react(message)?,
            }
        }
    }

    fn send(&self, method: &str, params: &Value) -> Result<u64, CallError> {
        self.inbox.send(Some(&self.session), method, params)
    }

    fn react(&mut self, message: Message) -> Result<(), Cut> {
        let Message::Event { session, method, params } = message else {
            // To a request that the page has given up meanwhile, and the like.
            return Ok(());
        };
        if session != self.session {
            return Ok(());
        }
        match method.as_str() {
            "Fetch.requestPaused" => self.answer(&params)?,
            "Page.lifecycleEvent" if params["frameId"] == *self.frame => {
                // A navigation, refused or not, ends the load without the event of this name.
                let done =
                    params["name"] == "load" || (self.tried_to_leave && params["name"] == "networkIdle");
                if done {
                    self.loaded.push(text(&params["loaderId"]));
                }
            }
            "Page.javascriptDialogOpening" => {
                self.send("Page.handleJavaScriptDialog", &json!({ "accept": false }))?;
            }
            "Target.attachedToTarget" => {
                let target = json!({ "targetId": params["targetInfo"]["targetId"] });
                self.inbox.send(None, "Target.closeTarget", &target)?;
            }
            "Inspector.targetCrashed" => return Err(Cut::Crashed),
            _ => {}
        }
        Ok(())
    }

    /// Answers a request of the page from memory, or fails it.
    fn answer(&mut self, paused: &Value) -> Result<(), CallError> {
        let request = &paused["requestId"];
        let replaces_the_page = paused["resourceType"] == "Document" && paused["frameId"] == *self.frame;
        let navigation = match (replaces_the_page, self.was_served) {
            (false, _) => Navigation::None,
            (true, false) => Navigation::First,
            (true, true) => Navigation::Further,
        };
        self.was_served |= navigation == Navigation::First;
        self.tried_to_leave |= navigation == Navigation::Further;
        let url = paused["request"]["url"].as_str().unwrap_or_default();
        let (method, params) = match fence::decide(self.page, url, navigation) {
            Verdict::Pass => ("Fetch.continueRequest", json!({ "requestId": request })),
            // "Aborted" leaves the page as it is; another reason would show an error page instead.
            Verdict::Refuse => {
                ("Fetch.failRequest", json!({ "requestId": request, "errorReason": "Aborted" }))
            }
            Verdict::Answer { status, content_type, bytes } => (
                "Fetch.fulfillRequest",
                json!({
                    "requestId": request,
                    "responseCode": status,
                    "responseHeaders": [
                        { "name": "Content-Type", "value": content_type },
                        { "name": "Content-Security-Policy", "value": fence::POLICY },
                        // A sandboxed page has no origin, and fonts are fetched with one.
                        { "name": "Access-Control-Allow-Origin", "value": "*" },
                    ],
                    "body": BASE64_STANDARD.encode(bytes),
                }),
            ),
        };
        self.send(method, &params)?;
        Ok(())
    }
}

/// Ids are texts; one that is not fits nothing.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
