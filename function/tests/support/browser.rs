//! Whether there is a browser, and which processes a function has.

use std::fs;

use function::workloads::pdf::chromium::settings::{Choice, Settings};

/// Whether tests with a browser can run; says on stderr which one cannot.
pub fn is_there(test: &str) -> bool {
    let settings = Settings {
        program: std::env::var_os("CHROMIUM").map(Into::into),
        sandbox: Choice::Auto,
        own_network: Choice::Auto,
        documents: 1,
        process_bytes: 1 << 30,
    };
    let found = settings.find_program(std::env::var_os("PATH").as_deref());
    if let Err(error) = &found {
        eprintln!("skipped: {test}: {error}");
    }
    found.is_ok()
}

/// A process: its id, and when it began, since ids are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub id: u32,
    parent: u32,
    began: u64,
}

impl Process {
    /// Reads `/proc/ID/stat` (proc_pid_stat(5)); none if it is gone or waits for its burial.
    fn read(id: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let fields: Vec<_> = text.rsplit_once(") ")?.1.split(' ').collect();
        let (parent, began) = (fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?);
        (fields[0] != "Z").then_some(Self { id, parent, began })
    }

    pub fn is_alive(self) -> bool {
        Self::read(self.id).is_some_and(|now| now.began == self.began)
    }
}

/// The children of a process, their children, and so on.
pub fn descendants(of: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let all: Vec<_> =
        entries.filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?)).collect();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            found.push(*child);
            parents.push(child.id);
        }
    }
    found
}
