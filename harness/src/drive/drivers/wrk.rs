//! wrk, where it is installed: run as a process, its text parsed.

use std::{
    fmt::Write as _,
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use tokio::process::Command;

use super::{ClosedLoad, DriverError, Word, process, wrk_text};
use crate::{interrupt::Interrupt, words::one_line};

/// What wrk takes longer than its duration, at most: it connects first and sums up afterwards.
const GRACE: Duration = Duration::from_secs(30);

/// Where wrk is.
pub(super) fn program() -> Result<PathBuf, DriverError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("wrk"))
        .find(|file| file.is_file())
        .ok_or(DriverError::NotInstalled)
}

/// Drives it, with one thread, as our own engine does.
pub(super) async fn drive(load: &ClosedLoad, interrupt: Interrupt) -> Result<Word, DriverError> {
    let failed = |cause: String| DriverError::Failed { driver: "wrk", cause };
    let script = Script::write(&lua(load)).map_err(|error| failed(format!("no script for it ({error})")))?;
    let mut command = Command::new(program()?);
    command
        .args(["--threads", "1", "--latency"])
        .args(["--connections", &load.connections.to_string()])
        .args(["--duration", &format!("{}s", load.duration.as_secs())])
        .args(["--timeout", &format!("{}s", load.timeout.as_secs())])
        .arg("--script")
        .arg(&script.path)
        .arg("--")
        .arg(&load.endpoint.url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = process::start("wrk", command, load.core)?;
    let ended = process::finish(child, load.duration + GRACE, interrupt)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let (out, err) =
        (String::from_utf8_lossy(&ended.output.stdout), String::from_utf8_lossy(&ended.output.stderr));
    let said = wrk_text::parse(&out).filter(|_| ended.output.status.success()).ok_or_else(|| {
        let words = one_line(if err.trim().is_empty() { &out } else { &err });
        failed(format!("{words}; check that the target runs, and the address"))
    })?;
    let errors = wrk_text::SOCKET_ERRORS.into_iter().zip(said.socket_errors);
    let failures = errors.chain([("status", said.bad_status)]).filter(|&(_, count)| count > 0).collect();
    Ok(Word {
        requests: said.requests,
        failures,
        seconds: said.seconds,
        latency_ms: said.latency_ms,
        cpu_seconds: ended.cpu_seconds,
        records: None,
        interrupted: ended.interrupted,
    })
}

/// wrk's script: the request, and the percentile that wrk does not print by itself. Headers are in
/// it rather than in wrk's arguments, which everybody on the machine can read. (Writing to a String
/// cannot fail.)
fn lua(load: &ClosedLoad) -> String {
    let mut script = format!("wrk.method = {}\n", quoted(load.method.as_str().as_bytes()));
    let media_type = Some(("Content-Type".to_owned(), load.payload.content_type.clone()));
    let media_type = media_type.filter(|(name, value)| {
        !value.is_empty() && !load.endpoint.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    });
    for (name, value) in media_type.iter().chain(&load.endpoint.headers) {
        let _ = writeln!(script, "wrk.headers[{}] = {}", quoted(name.as_bytes()), quoted(value.as_bytes()));
    }
    if !load.payload.body.is_empty() {
        let _ = writeln!(script, "wrk.body = {}", quoted(&load.payload.body));
    }
    script
        + "done = function(summary, latency, requests)\n  \
           io.write(string.format(\"harness: 99.9%% %.0fus\\n\", latency:percentile(99.9)))\nend\n"
}

/// Bytes as a Lua string: letters and digits as they are, the rest by number.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3 + 2);
    text.push('"');
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b" -/.,:;=_".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\{byte:03}");
        }
    }
    text + "\""
}

/// A file that only this user can read, gone with its owner.
struct Script {
    path: PathBuf,
}

impl Script {
    fn write(text: &str) -> std::io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let name = format!("harness-wrk-{}-{}.lua", std::process::id(), COUNT.fetch_add(1, Relaxed));
            let path = std::env::temp_dir().join(name);
            match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    let script = Self { path };
                    file.write_all(text.as_bytes())?;
                    return Ok(script);
                }
                // A left-over of a process that was killed and had our number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Nobody is there to hear that a temporary file could not be removed.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::drivers::tests::load;

    #[test]
    fn the_script_carries_method_headers_and_any_bytes() {
        let mut load = load("http://127.0.0.1:1/");
        load.method = hyper::Method::POST;
        load.endpoint.headers = vec![("Host".into(), "f.example.com".into())];
        load.payload.content_type = "image/png".into();
        load.payload.body = bytes::Bytes::from_static(b"a\"\\\n\0\xff9");
        insta::assert_snapshot!(lua(&load), @r#"
        wrk.method = "POST"
        wrk.headers["Content-Type"] = "image/png"
        wrk.headers["Host"] = "f.example.com"
        wrk.body = "a\034\092\010\000\2559"
        done = function(summary, latency, requests)
          io.write(string.format("harness: 99.9%% %.0fus\n", latency:percentile(99.9)))
        end
        "#);
        load.endpoint.headers.push(("content-type".into(), "text/plain".into()));
        assert!(!lua(&load).contains("image/png"), "a header of the endpoint goes before");
    }

    #[test]
    fn a_script_is_private_and_goes_with_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let script = Script::write("x").unwrap();
        let path = script.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(script);
        assert!(!path.exists());
    }
}
