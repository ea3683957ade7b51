//! A checked download: several sources in order, resumed where it broke off, never half a file.

#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::error::LocateError;
use crate::places::{Item, Kind, sha256_of};

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// File name.
    pub file: &'a str,
    /// Where it comes from.
    pub url: &'a str,
    /// Bytes there, those of an earlier attempt included.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// Downloads files.
#[derive(Debug)]
pub(crate) struct Fetcher {
    agent: Agent,
    /// Attempts at each source; a later one goes on where the earlier one broke off.
    attempts: u32,
    /// Pause before the second attempt; as much longer before each later one.
    pause: Duration,
}

/// Why an attempt did not give the file.
enum Fault {
    /// The next attempt at this source may.
    Again(String),
    /// This source will not.
    Source(String),
    /// Our own disk will not.
    Disk(io::Error),
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new(Agent::config_builder(), 3, Duration::from_millis(500))
    }
}

impl Fetcher {
    pub(crate) fn new(
        config: ureq::config::ConfigBuilder<ureq::typestate::AgentScope>,
        attempts: u32,
        pause: Duration,
    ) -> Self {
        let config = config
            .http_status_as_error(false)
            // Short, so that a machine without internet learns it at once.
            .timeout_resolve(Some(Duration::from_secs(4)))
            .timeout_connect(Some(Duration::from_secs(4)))
            .timeout_recv_response(Some(Duration::from_secs(20)))
            // A transfer may take long, but not stand still.
            .timeout_per_read(Some(Duration::from_secs(20)))
            .user_agent(concat!("serverless-testbed/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent(), attempts, pause }
    }

    /// Puts the file into `directory` and gives its path. What an earlier attempt left behind
    /// (`FILE.part`) is used.
    ///
    /// # Errors
    /// If no source gives the right bytes; with what each said.
    pub(crate) fn fetch(
        &self,
        item: &Item,
        directory: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, LocateError> {
        let path = directory.join(item.file);
        if path.is_file() {
            return item.check(&path).map(|()| path);
        }
        let part_path = directory.join(format!("{}.part", item.file));
        std::fs::create_dir_all(directory).map_err(LocateError::io(directory))?;
        let mut part = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part_path)
            .map_err(LocateError::io(&part_path))?;
        // A file system without locks is no reason to give up: the sha256 is checked in the end.
        if let Err(TryLockError::WouldBlock) = part.try_lock() {
            return Err(LocateError::Busy { path: part_path });
        }
        if path.is_file() {
            // Another process finished it just now; our `part` may be that very file.
            return item.check(&path).map(|()| path);
        }

        let mut tried = Vec::new();
        for url in item.urls {
            match self.fetch_from(url, item, &mut part, progress) {
                Ok(()) => {
                    part.sync_all().map_err(LocateError::io(&part_path))?;
                    std::fs::rename(&part_path, &path).map_err(LocateError::io(&path))?;
                    return Ok(path);
                }
                Err(Fault::Disk(source)) => return Err(LocateError::Io { path: part_path, source }),
                Err(Fault::Again(why) | Fault::Source(why)) => tried.push(format!("{}: {why}", host(url))),
            }
        }
        if part.metadata().is_ok_and(|meta| meta.len() == 0) {
            // Nothing in it that a later run could use.
            let _ = std::fs::remove_file(&part_path);
        }
        Err(LocateError::Download {
            file: item.file.into(),
            tried: if tried.is_empty() { "it has no source".into() } else { tried.join("; ") },
            remedy: format!(
                "try again with internet, or get the file in another way and name its directory with {}",
                item.kind.own_directory()
            ),
        })
    }

    /// All attempts at one source.
    fn fetch_from(
        &self,
        url: &str,
        item: &Item,
        part: &mut File,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Fault> {
        let mut attempt = 1;
        loop {
            match self.attempt(url, item, part, progress) {
                Err(Fault::Again(_)) if attempt < self.attempts => {
                    std::thread::sleep(self.pause * attempt);
                    attempt += 1;
                }
                Err(Fault::Again(why)) => return Err(Fault::Again(format!("{why}, {attempt} times"))),
                other => return other,
            }
        }
    }

    fn attempt(
        &self,
        url: &str,
        item: &Item,
        part: &mut File,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Fault> {
        let Some((expected_bytes, expected_sha256)) = item.contents else {
            return self.attempt_unverified(url, item, part, progress);
        };
        let mut done = part.metadata().map_err(Fault::Disk)?.len();
        if done > expected_bytes {
            restart(part)?;
            done = 0;
        }
        let resumed = done > 0;
        if done < expected_bytes {
            let response = self.ask(url, done)?;
            if response.status() == StatusCode::OK {
                // The source does not resume: from the start, then.
                restart(part)?;
                done = 0;
            }
            part.seek(SeekFrom::Start(done)).map_err(Fault::Disk)?;
            let report = |done_bytes| {
                progress(Progress { file: item.file, url, done_bytes, total_bytes: expected_bytes });
            };
            receive(response, part, [done, expected_bytes], report)?;
        }
        part.rewind().map_err(Fault::Disk)?;
        let sha256 = sha256_of(part).map_err(Fault::Disk)?;
        if sha256 == expected_sha256 {
            return Ok(());
        }
        restart(part)?;
        let why = format!("its sha256 is {sha256}, the manifest says {expected_sha256}");
        // What was there before may be to blame; a whole wrong file will be wrong again.
        Err(if resumed { Fault::Again(why) } else { Fault::Source(why) })
    }

    /// A file whose contents nobody has verified: always from the start, and as long as the source says.
    fn attempt_unverified(
        &self,
        url: &str,
        item: &Item,
        part: &mut File,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Fault> {
        restart(part)?;
        let response = self.ask(url, 0)?;
        let length = response.headers().get(header::CONTENT_LENGTH);
        let total_bytes: u64 = length
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .filter(|&length| length > 0)
            .ok_or_else(|| Fault::Source("it does not say how long the file is".into()))?;
        let report = |done_bytes| progress(Progress { file: item.file, url, done_bytes, total_bytes });
        receive(response, part, [0, total_bytes], report)
    }

    /// Asks for the bytes from `done` on; gives an answer of status 200, or 206 from just there.
    fn ask(&self, url: &str, done: u64) -> Result<Response<Body>, Fault> {
        let request = self.agent.get(url);
        let request =
            if done > 0 { request.header(header::RANGE, format!("bytes={done}-")) } else { request };
        let response = request.call().map_err(|error| no_answer(&error))?;
        let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let from_there = range.is_some_and(|range| range.starts_with(&format!("bytes {done}-")));
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::PARTIAL_CONTENT if done > 0 && from_there => Ok(response),
            status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                Err(Fault::Again(format!("status {status}")))
            }
            status if status.is_server_error() => Err(Fault::Again(format!("status {status}"))),
            status => Err(Fault::Source(format!("status {status}"))),
        }
    }
}

/// Downloads a file that no manifest describes, unless it is in `directory` already; never half of
/// it. Its contents are for the caller to check.
///
/// # Errors
/// If the source does not give it.
pub fn fetch_file(
    url: &str,
    directory: &Path,
    file: &str,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, LocateError> {
    let urls = [url.to_owned()];
    let item = Item { kind: Kind::Model, folder: None, file, urls: &urls, contents: None };
    Fetcher::default().fetch(&item, directory, progress)
}

/// A source that was reached and fell silent may answer yet; one that cannot be reached is given up at
/// once, so that a machine without internet does not wait.
fn no_answer(error: &ureq::Error) -> Fault {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof};
    match error {
        ureq::Error::Io(error) => match error.kind() {
            ConnectionRefused => Fault::Source("connection refused".into()),
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
                Fault::Again(error.to_string())
            }
            _ => Fault::Source(error.to_string()),
        },
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            Fault::Source("no connection in time".into())
        }
        ureq::Error::Timeout(_) => Fault::Again("no answer in time".into()),
        error => Fault::Source(error.to_string()),
    }
}

/// Appends the answer's body to the file, up to `total` bytes.
fn receive(
    response: Response<Body>,
    part: &mut File,
    [mut done, total]: [u64; 2],
    mut report: impl FnMut(u64),
) -> Result<(), Fault> {
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    report(done);
    loop {
        let read = match body.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Fault::Again(format!("broke off after {done} of {total} bytes: {error}")));
            }
        };
        if read == 0 {
            break;
        }
        if done + read as u64 > total {
            restart(part)?;
            return Err(Fault::Source(format!(
                "it sends more than the {total} bytes that the manifest says"
            )));
        }
        part.write_all(&buffer[..read]).map_err(Fault::Disk)?;
        done += read as u64;
        report(done);
    }
    if done == total { Ok(()) } else { Err(Fault::Again(format!("broke off after {done} of {total} bytes"))) }
}

fn restart(part: &mut File) -> Result<(), Fault> {
    part.set_len(0).map_err(Fault::Disk)?;
    part.rewind().map_err(Fault::Disk)
}

/// `https://github.com/onnx/...` is `github.com` in messages.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
