//! The role of the process that renders one page: from standard input to standard output, without a
//! way to anything else.

use std::any::Any;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;

use nix::sys::resource::{Resource, setrlimit};
use serde_json::{Map, Value};

use super::wire;
use crate::workloads::pdf::page::Page;

/// First argument of the function's program in this role; seconds and bytes follow.
pub const ROLE: &str = "--render-pdf";
/// Exit code: the page cannot be rendered.
pub const DAMAGED: i32 = 3;
/// Exit code: the page is too large.
pub const TOO_LARGE: i32 = 4;
/// Exit code: the renderer failed.
const FAILED: u8 = 5;

/// Layout recurses into the page: as much stack as pages of sensible depth need, and no more than
/// the memory limit holds.
const STACK_BYTES: usize = 64 << 20;

/// Why a page has no PDF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be rendered.
    Damaged(String),
    /// It is too large.
    TooLarge(String),
    /// The renderer failed.
    Failed(String),
}

/// The whole life of this process, if it was started in this role; to be asked first of all.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let is_ours = arguments.next().is_some_and(|role| role == ROLE);
    is_ours.then(|| render_standard_input(arguments.map(|argument| argument.to_string_lossy().into_owned())))
}

/// Renders the page on standard input. The PDF, or a reason, goes to standard output.
fn render_standard_input(arguments: impl Iterator<Item = String>) -> ExitCode {
    let result = match give_up_rights(arguments) {
        Ok(()) => wire::read(&mut io::stdin().lock())
            .map_err(|error| Refusal::Failed(error.to_string()))
            .and_then(render_on_a_large_stack),
        Err(error) => Err(Refusal::Failed(error)),
    };
    let (code, answer) = match result {
        Ok(pdf) => (0, pdf),
        Err(Refusal::Damaged(why)) => (DAMAGED as u8, why.into_bytes()),
        Err(Refusal::TooLarge(why)) => (TOO_LARGE as u8, why.into_bytes()),
        Err(Refusal::Failed(why)) => (FAILED, why.into_bytes()),
    };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&answer).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(FAILED),
    }
}

/// From here on nothing can be opened: every new descriptor is one too many (setrlimit(2)).
fn give_up_rights(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let usage = || format!("usage: function {ROLE} SECONDS BYTES < page");
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).ok_or_else(usage);
    let (seconds, memory_bytes) = (number()?, number()?);
    let limits = [
        (Resource::RLIMIT_NOFILE, 3, 3),
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_AS, memory_bytes, memory_bytes),
        // For the case that the function dies and nobody is left to end this.
        (Resource::RLIMIT_CPU, seconds, seconds + 1),
    ];
    limits.into_iter().try_for_each(|(resource, soft, hard)| {
        setrlimit(resource, soft, hard).map_err(|error| format!("cannot set {resource:?}: {error}"))
    })
}

fn render_on_a_large_stack(page: Page) -> Result<Vec<u8>, Refusal> {
    let failed = |error: &dyn std::fmt::Display| Refusal::Failed(error.to_string());
    let render = move || {
        catch_unwind(AssertUnwindSafe(|| engine_render(&page)))
            .unwrap_or_else(|panic| Err(Refusal::Failed(message(panic.as_ref()))))
    };
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(render);
    thread.map_err(|error| failed(&error))?.join().unwrap_or_else(|_| Err(failed(&"it panicked")))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    format!("it panicked: {}", text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message"))
}

#[cfg(feature = "pdf-native")]
use super::engine::{about as engine_about, render as engine_render};

/// What renders.
pub fn about() -> Map<String, Value> {
    engine_about()
}

#[cfg(not(feature = "pdf-native"))]
fn engine_about() -> Map<String, Value> {
    Map::new()
}

#[cfg(not(feature = "pdf-native"))]
fn engine_render(_page: &Page) -> Result<Vec<u8>, Refusal> {
    Err(Refusal::Failed("this program was built without the feature pdf-native".to_owned()))
}
