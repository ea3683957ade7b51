use std::io;
use std::path::PathBuf;

use super::{Fault, Progress, no_answer};
use crate::error::LocateError;
use crate::places::sha256_hex;
use crate::test_server::{Reply, Server, fetcher, item, refusing_url};

const FILE: &[u8] = b"0123456789abcdef";

/// What came of a download, in a directory of its own.
struct Outcome {
    directory: tempfile::TempDir,
    result: Result<PathBuf, LocateError>,
    done_bytes: Vec<u64>,
}

/// Downloads `FILE` from these URLs; `part` is there from an earlier attempt.
fn download(urls: &[String], part: Option<&[u8]>) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    if let Some(part) = part {
        std::fs::write(directory.path().join("m.onnx.part"), part).unwrap();
    }
    let mut done_bytes = Vec::new();
    let sha256 = sha256_hex(FILE);
    let mut progress = |progress: Progress<'_>| {
        assert_eq!((progress.file, progress.total_bytes), ("m.onnx", FILE.len() as u64));
        done_bytes.push(progress.done_bytes);
    };
    let result = fetcher().fetch(&item(FILE, &sha256, urls), directory.path(), &mut progress);
    Outcome { directory, result, done_bytes }
}

impl Outcome {
    fn assert_complete(&self) {
        let path = self.result.as_ref().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), FILE);
        assert_eq!(self.files(), ["m.onnx"]);
        assert_eq!(self.done_bytes.last().copied().unwrap_or(FILE.len() as u64), FILE.len() as u64);
    }

    fn files(&self) -> Vec<String> {
        let mut files: Vec<_> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        files
    }

    /// The message, with this test's ports taken out.
    fn message(&self) -> String {
        let message = self.result.as_ref().unwrap_err().to_string();
        let mut parts = message.split("127.0.0.1:");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + "HOST" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
    }
}

const REMEDY: &str = "try again with internet, or get the file in another way and name its directory with --models-dir or MODELS_DIR";

#[test]
fn a_whole_file_arrives() {
    let server = Server::start(&[Reply::Whole(FILE)]);
    let outcome = download(std::slice::from_ref(&server.url), None);
    outcome.assert_complete();
    assert_eq!(server.asked(), [None]);
}

#[test]
fn a_torn_transfer_goes_on_where_it_broke_off() {
    let server = Server::start(&[Reply::Torn(FILE, 6), Reply::Rest(FILE)]);
    let outcome = download(std::slice::from_ref(&server.url), None);
    outcome.assert_complete();
    assert_eq!(server.asked(), [None, Some(6)]);
}

#[test]
fn a_source_that_cannot_resume_is_read_from_the_start() {
    let server = Server::start(&[Reply::Torn(FILE, 6), Reply::Whole(FILE)]);
    let outcome = download(std::slice::from_ref(&server.url), None);
    outcome.assert_complete();
    assert_eq!(server.asked(), [None, Some(6)]);
}

#[test]
fn what_an_earlier_run_left_is_used() {
    let server = Server::start(&[Reply::Rest(FILE)]);
    let outcome = download(std::slice::from_ref(&server.url), Some(&FILE[..10]));
    outcome.assert_complete();
    assert_eq!(server.asked(), [Some(10)]);
}

#[test]
fn a_spoilt_rest_of_an_earlier_run_is_thrown_away() {
    let server = Server::start(&[Reply::Rest(FILE), Reply::Whole(FILE)]);
    let outcome = download(std::slice::from_ref(&server.url), Some(b"spoilt"));
    outcome.assert_complete();
    assert_eq!(server.asked(), [Some(6), None]);
}

#[test]
fn a_file_complete_but_for_its_name_needs_no_request() {
    let server = Server::start(&[]);
    download(std::slice::from_ref(&server.url), Some(FILE)).assert_complete();
    assert_eq!(server.asked(), []);
}

#[test]
fn a_transfer_that_keeps_breaking_off_ends_and_keeps_what_came() {
    let server = Server::start(&[Reply::Torn(FILE, 6), Reply::Status("503 Busy"), Reply::Status("503 Busy")]);
    let outcome = download(std::slice::from_ref(&server.url), None);
    assert_eq!(
        outcome.message(),
        format!("m.onnx could not be downloaded (HOST: status 503 Service Unavailable, 3 times); {REMEDY}")
    );
    assert_eq!(outcome.files(), ["m.onnx.part"]);
}

#[test]
fn other_bytes_are_refused_and_not_kept() {
    let server = Server::start(&[Reply::Whole(b"0123456789ABCDEF")]);
    let outcome = download(std::slice::from_ref(&server.url), None);
    let (found, expected) = (sha256_hex(b"0123456789ABCDEF"), sha256_hex(FILE));
    assert_eq!(
        outcome.message(),
        format!(
            "m.onnx could not be downloaded (HOST: its sha256 is {found}, the manifest says {expected}); {REMEDY}"
        )
    );
    assert!(outcome.files().is_empty());
}

#[test]
fn a_longer_file_is_refused_before_it_is_read_whole() {
    let server = Server::start(&[Reply::Whole(b"0123456789abcdef and a page of advertisements")]);
    let outcome = download(std::slice::from_ref(&server.url), None);
    assert_eq!(
        outcome.message(),
        format!(
            "m.onnx could not be downloaded (HOST: it sends more than the 16 bytes that the manifest says); {REMEDY}"
        )
    );
    assert!(outcome.files().is_empty());
}

#[test]
fn a_missing_file_is_sought_at_the_second_source() {
    let first = Server::start(&[Reply::Status("404 Not Found")]);
    let second = Server::start(&[Reply::Whole(FILE)]);
    download(&[first.url.clone(), second.url.clone()], None).assert_complete();
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
}

#[test]
fn every_source_that_failed_is_named() {
    let gone = Server::start(&[Reply::Status("404 Not Found")]);
    let outcome = download(&[refusing_url(), gone.url], None);
    assert_eq!(
        outcome.message(),
        format!(
            "m.onnx could not be downloaded (HOST: connection refused; HOST: status 404 Not Found); {REMEDY}"
        )
    );
    assert!(outcome.files().is_empty());
}

#[test]
fn only_a_source_that_was_reached_is_asked_again() {
    let again = |error| matches!(no_answer(&error), Fault::Again(_));
    assert!(again(ureq::Error::Io(io::ErrorKind::ConnectionReset.into())));
    assert!(again(ureq::Error::Timeout(ureq::Timeout::RecvResponse)));
    // What a machine without internet meets.
    assert!(!again(ureq::Error::Io(io::Error::other("failed to lookup address information"))));
    assert!(!again(ureq::Error::Io(io::ErrorKind::NetworkUnreachable.into())));
    assert!(!again(ureq::Error::Timeout(ureq::Timeout::Connect)));
    assert!(!again(ureq::Error::HostNotFound));
}

#[test]
fn an_unfinished_file_that_another_process_holds_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let held = std::fs::File::create(directory.path().join("m.onnx.part")).unwrap();
    held.lock().unwrap();
    let sha256 = sha256_hex(FILE);
    let error = fetcher().fetch(&item(FILE, &sha256, &[]), directory.path(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().ends_with("being downloaded by another process; wait for it, then try again"));
}
