//! Other programs: how they are called, found and listened to.

use std::{fmt, path::PathBuf, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
};

use super::{SetupError, versions::Versions};
use crate::interrupt::Interrupt;

/// How long a program may take to end after it was asked to.
const TO_END: Duration = Duration::from_secs(20);
/// Lines of its last words that are kept.
const LAST_WORDS: usize = 3;

/// A call of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name on the PATH, or path of a script of ours.
    pub program: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment beside ours.
    pub environment: Vec<(&'static str, String)>,
}

impl Call {
    /// A call with these arguments.
    pub fn new<A: Into<String>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.to_owned(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
        }
    }

    /// Runs it to its end, tells each line as it comes, and gives the standard output. Its standard
    /// input is empty: it can ask nobody.
    ///
    /// # Errors
    /// If it fails, with its last words; or at Ctrl-C, once it has ended.
    pub async fn run(&self, interrupt: &Interrupt, tell: impl Fn(&str)) -> Result<String, SetupError> {
        let failed = |how: String, said: String| SetupError::Program { line: self.to_string(), how, said };
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C reaches us alone, and whatever it started ends with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("it cannot be started".to_owned(), error.to_string()))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed("its output cannot be read".to_owned(), String::new()));
        };
        let (mut out, mut last) = (String::new(), Vec::new());
        let listening = async {
            let mut keep = |line: &str| {
                tell(line);
                out.push_str(line);
                out.push('\n');
            };
            let mut note = |line: &str| {
                tell(line);
                last.push(line.trim().to_owned());
                if last.len() > LAST_WORDS {
                    last.remove(0);
                }
            };
            tokio::join!(each_line(stdout, &mut keep), each_line(stderr, &mut note));
        };
        tokio::select! {
            () = listening => {}
            () = interrupt.raised() => {
                end(&mut child).await;
                return Err(SetupError::Interrupted);
            }
        }
        let status = child.wait().await.map_err(|error| failed(error.to_string(), String::new()))?;
        if status.success() {
            return Ok(out);
        }
        let said = last.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ");
        let said = if said.is_empty() { "it said nothing".to_owned() } else { said };
        Err(failed(status.to_string(), said))
    }
}

/// Tells every line of a stream, without the colours that some programs put in.
async fn each_line(stream: impl AsyncRead + Unpin, tell: &mut impl FnMut(&str)) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tell(&without_escapes(&line));
    }
}

/// Text without the escape sequences of terminals (`ESC [ ... letter`).
fn without_escapes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => drop(rest.find(char::is_ascii_alphabetic)),
            '\r' => {}
            c => out.push(c),
        }
    }
    out.trim_end().to_owned()
}

/// Asks a program and all that it started to end, and waits until it has.
async fn end(child: &mut Child) {
    let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
    // It may have ended just now.
    _ = killpg(Pid::from_raw(id), Signal::SIGTERM);
    if tokio::time::timeout(TO_END, child.wait()).await.is_err() {
        _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        _ = child.wait().await;
    }
}

impl fmt::Display for Call {
    /// As one would type it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&quoted(&self.program))?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Refuses to begin without a program.
///
/// # Errors
/// If it is not on the PATH; with where the version that this was made for is to be had.
pub fn need(program: &str, versions: &Versions) -> Result<(), SetupError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |folder: PathBuf| {
        use std::os::unix::fs::PermissionsExt;
        let file = folder.join(program).metadata();
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if std::env::split_paths(&path).any(is_there) {
        return Ok(());
    }
    let remedy = match (program, versions.tool(program)) {
        ("ssh", _) => "install OpenSSH's client (apt-get install openssh-client)".to_owned(),
        (_, Some(tool)) => {
            let how = tool.url.as_ref().map(|url| format!(" ({url})")).unwrap_or_default();
            format!("install {program} {}{how}", tool.version)
        }
        (_, None) => format!("install {program}"),
    };
    Err(SetupError::NoProgram { program: program.to_owned(), remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Call {
        Call::new("sh", ["-c", script])
    }

    #[tokio::test]
    async fn lines_are_told_as_they_come_and_the_output_is_given() {
        let heard = std::cell::RefCell::new(Vec::new());
        let call = shell("echo one; printf '\\033[1mtwo\\033[0m\\n' >&2; echo three");
        let out =
            call.run(&Interrupt::never(), |line| heard.borrow_mut().push(line.to_owned())).await.unwrap();
        assert_eq!(out, "one\nthree\n");
        let mut heard = heard.into_inner();
        heard.sort();
        assert_eq!(heard, ["one", "three", "two"]);
    }

    #[tokio::test]
    async fn a_failure_ends_with_its_last_words() {
        let call = shell("echo a >&2; echo b >&2; echo c >&2; echo d >&2; exit 3");
        let said = call.run(&Interrupt::never(), |_| ()).await.unwrap_err().to_string();
        assert!(said.ends_with("(exit status: 3): b / c / d"), "{said}");
    }

    #[tokio::test]
    async fn ctrl_c_ends_the_program_and_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("ended");
        let script = format!("trap 'touch {}; exit' TERM; echo up; sleep 60 & wait", mark.display());
        let (raise, interrupt) = Interrupt::new();
        let error = shell(&script).run(&interrupt, |_| raise.raise()).await.unwrap_err();
        assert!(matches!(error, SetupError::Interrupted), "{error}");
        assert!(mark.exists());
    }

    #[test]
    fn a_call_reads_as_one_would_type_it() {
        let mut call = Call::new("helm", ["upgrade", "a b", "it's", ""]);
        call.environment.push(("KUBECONFIG", "/x".to_owned()));
        assert_eq!(call.to_string(), r"KUBECONFIG=/x helm upgrade 'a b' 'it'\''s' ''");
    }

    #[test]
    fn a_missing_program_is_named_with_the_version_to_install() {
        let versions = "[tools.no-such-program]\nversion = \"1.2\"\nurl = \"https://x.example\"";
        let said = need("no-such-program", &Versions::read(versions).unwrap()).unwrap_err().to_string();
        assert_eq!(
            said,
            "no-such-program is not on the PATH; install no-such-program 1.2 (https://x.example)"
        );
        assert!(need("sh", &Versions::default()).is_ok());
    }
}
