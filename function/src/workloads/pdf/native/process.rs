//! The function's side: starts a process for a page, feeds it, and ends it at its limit.

use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use nix::libc;
use serde_json::{Map, Value, json};

use super::child::{self, ROLE};
use super::{NAME, wire};
use crate::workloads::WorkloadError;
use crate::workloads::pdf::page::Page;
use crate::workloads::pdf::{Limits, Renderer};

/// Renders each page in a process of its own.
#[derive(Debug)]
pub struct Native {
    program: PathBuf,
    memory_bytes: u64,
}

impl Native {
    /// Renders with this program, which is the function's; each page may take so much address space.
    pub fn new(program: impl Into<PathBuf>, memory_bytes: u64) -> Self {
        Self { program: program.into(), memory_bytes }
    }

    fn start(&self, limits: &Limits) -> io::Result<Running> {
        let child = Command::new(&self.program)
            .arg(ROLE)
            .arg(limits.render.as_secs().to_string())
            .arg(self.memory_bytes.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Running(child))
    }

    /// What a process that ended without a PDF says of the page.
    fn refusal(&self, status: ExitStatus, said: &[u8], limits: &Limits) -> WorkloadError {
        let said = String::from_utf8_lossy(&said[..said.len().min(500)]).into_owned();
        match (status.code(), status.signal()) {
            (Some(child::DAMAGED), _) => WorkloadError::Damaged(said),
            (Some(child::TOO_LARGE), _) => WorkloadError::TooLarge(said),
            (_, Some(libc::SIGXCPU | libc::SIGKILL)) => too_slow(limits),
            (_, Some(libc::SIGABRT | libc::SIGSEGV)) => WorkloadError::TooLarge(format!(
                "the page needs more than {} MiB of memory, or is nested too deeply (PDF_MEMORY_MIB)",
                self.memory_bytes >> 20
            )),
            _ => WorkloadError::Internal(format!("the native renderer failed ({status}): {said}")),
        }
    }
}

impl Renderer for Native {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> Map<String, Value> {
        let mut about = child::about();
        about
            .insert("isolation".into(), json!("a process for each page that can open no file and no socket"));
        about.insert("memory_bytes".into(), json!(self.memory_bytes));
        about
    }

    fn render(&self, page: &Page, limits: &Limits) -> Result<Vec<u8>, WorkloadError> {
        let failed = |error: io::Error| {
            WorkloadError::Internal(format!("the native renderer's process cannot be used: {error}"))
        };
        let mut running = self.start(limits).map_err(failed)?;
        let answer = running.exchange(page, limits)?;
        if answer.len() > limits.pdf_bytes {
            return Err(WorkloadError::TooLarge(format!(
                "the PDF has more than {} bytes (PDF_MAX_BYTES)",
                limits.pdf_bytes
            )));
        }
        let status = running.0.wait().map_err(failed)?;
        if status.success() { Ok(answer) } else { Err(self.refusal(status, &answer, limits)) }
    }
}

fn too_slow(limits: &Limits) -> WorkloadError {
    WorkloadError::TooLarge(format!(
        "the page was not rendered within {} s (PDF_RENDER_SECONDS)",
        limits.render.as_secs()
    ))
}

/// A process that is gone once this is dropped.
struct Running(Child);

impl Running {
    /// Sends the page and hears all that comes back, one byte more than the PDF may have at most.
    fn exchange(&mut self, page: &Page, limits: &Limits) -> Result<Vec<u8>, WorkloadError> {
        let (stdin, stdout) = (self.0.stdin.take(), self.0.stdout.take());
        let (done, heard) = mpsc::sync_channel(1);
        let answer = thread::scope(|scope| {
            scope.spawn(move || {
                let mut answer = Vec::new();
                // A process that ends early has said why, or its status will.
                let _ = stdin.map(|mut stdin| wire::write(page, &mut stdin));
                let _ = stdout.map(|out| out.take(limits.pdf_bytes as u64 + 1).read_to_end(&mut answer));
                let _ = done.send(answer);
            });
            let answer = heard.recv_timeout(limits.render);
            if answer.is_err() {
                // Ends the thread as well: nothing is left to read from.
                let _ = self.0.kill();
            }
            answer
        });
        answer.map_err(|_| too_slow(limits))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
