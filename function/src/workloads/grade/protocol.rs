//! What a caller sends and what he gets: the types of requests and answers.
//!
//! A request is the source as text, or JSON:
//! `{"source": "...", "stdin": "...", "expected_output": "...", "limits": {...}}`, or with
//! `"tests": [{"stdin", "expected_output"}, ...]` instead of one pair.

use serde::{Deserialize, Serialize};

use super::super::{Input, WorkloadError};

/// Cases of one request, at most.
pub const MAX_TESTS: usize = 100;

/// Bytes of each stream of a case that the answer shows; the comparison sees all of them.
pub const SHOWN_BYTES: usize = 64 << 10;

/// A program to be judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Its source, as it came.
    pub source: Vec<u8>,
    /// The cases, at least one.
    pub tests: Vec<TestCase>,
    /// Limits that the caller wants to be lower than the configured ones.
    pub limits: WantedLimits,
}

/// What a program is given, and what it should say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// Its standard input.
    #[serde(default)]
    pub stdin: String,
    /// What it should write to its standard output; none if only its exit code counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_output: Option<String>,
}

/// Limits in a request. They can only lower the configured ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WantedLimits {
    /// Wall and CPU time of the compiler, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compile_seconds: Option<f64>,
    /// Wall and CPU time of a case, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_seconds: Option<f64>,
    /// Memory of all processes of a case together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Standard output and standard error of a case together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// Processes and threads of a case at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// All files of a case together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
}

/// The JSON form of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    source: String,
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default)]
    expected_output: Option<String>,
    #[serde(default)]
    tests: Option<Vec<TestCase>>,
    #[serde(default)]
    limits: WantedLimits,
}

impl Submission {
    /// Reads a request: JSON where its media type says so, else the source itself.
    ///
    /// # Errors
    /// `Damaged` for JSON that is not as described, `BadParameter` for members that contradict
    /// each other, `TooLarge` for too many cases.
    pub fn read(input: &Input) -> Result<Self, WorkloadError> {
        if !is_json(input.content_type.as_deref()) {
            let (source, tests) = (input.body.to_vec(), vec![TestCase::default()]);
            return Ok(Self { source, tests, limits: WantedLimits::default() });
        }
        let request: Request = serde_json::from_slice(&input.body).map_err(|error| {
            WorkloadError::Damaged(format!(
                "the JSON cannot be used: {error}; send {{\"source\": ..., \"stdin\": ..., \
                 \"expected_output\": ...}}, or the source itself as text/plain"
            ))
        })?;
        let tests = match request.tests {
            None => vec![TestCase {
                stdin: request.stdin.unwrap_or_default(),
                expected_output: request.expected_output,
            }],
            Some(_) if request.stdin.is_some() || request.expected_output.is_some() => {
                return Err(WorkloadError::BadParameter(
                    "give either 'tests', or 'stdin' and 'expected_output'".into(),
                ));
            }
            Some(tests) if tests.is_empty() => {
                return Err(WorkloadError::BadParameter("'tests' is empty; leave it out to run once".into()));
            }
            Some(tests) if tests.len() > MAX_TESTS => {
                return Err(WorkloadError::TooLarge(format!(
                    "{} cases; a request may have {MAX_TESTS}: send several requests",
                    tests.len()
                )));
            }
            Some(tests) => tests,
        };
        Ok(Self { source: request.source.into_bytes(), tests, limits: request.limits })
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// What is said of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ended with exit code 0 and wrote what was expected, if anything was.
    Accepted,
    /// It ended with exit code 0 but wrote something else.
    WrongAnswer,
    /// The compiler refused it, or did not end within its limits.
    CompileError,
    /// It ended with another exit code, or by a signal.
    RuntimeError,
    /// It took longer than it may.
    TimeLimit,
    /// It took more memory than it may.
    MemoryLimit,
    /// It wrote more than it may, to its output or to files.
    OutputLimit,
}

/// The members of an answer, beside those of every workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// That of the first case which is not accepted, else `accepted`.
    pub verdict: Verdict,
    /// What the compiler did; none for Python, which is not compiled.
    pub compile: Option<Compilation>,
    /// The cases in the order of the request; none after a compile error.
    pub tests: Vec<TestResult>,
    /// What held the program while it ran.
    pub enforced: Enforced,
}

/// What the compiler did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compilation {
    /// Wall time.
    pub ms: f64,
    /// CPU time.
    pub cpu_ms: f64,
    /// What it wrote, errors and warnings; the first [`SHOWN_BYTES`].
    pub stderr: String,
    /// Why it failed, in words, where `stderr` does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How one case went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// What is said of it.
    pub verdict: Verdict,
    /// In words, if it was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The exit code, if the program ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it, such as `SIGSEGV`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// User and system time of all its processes.
    pub cpu_ms: f64,
    /// From its start to its end.
    pub wall_ms: f64,
    /// The most memory that was resident at one time. Not below what the jail itself takes before
    /// it becomes the program, a few MiB.
    pub peak_memory_bytes: u64,
    /// Its standard output, the first [`SHOWN_BYTES`]; what is no UTF-8 is replaced.
    pub stdout: String,
    /// The same of its standard error.
    pub stderr: String,
    /// How long its standard output was in truth, as far as it was read.
    pub stdout_bytes: u64,
    /// The same of its standard error.
    pub stderr_bytes: u64,
}

/// What held a program while it ran, as the kernel granted it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforced {
    /// Namespaces of its own: `user`, `pid`, `mount`, `net`, `ipc`, `uts`; all or none.
    pub namespaces: Vec<String>,
    /// Whether it had a user of its own (the function runs as root and gives root up).
    pub own_user: bool,
    /// Landlock's version, 0 if the kernel has none: then it could read what the function can.
    pub landlock_abi: u32,
    /// Whether system calls were filtered.
    pub seccomp: bool,
    /// What bounds the number of processes: `rlimit`, `watched` (counted many times a second), or
    /// both (`watched, rlimit`: the kernel at four times the limit).
    pub processes: String,
    /// What bounds its files: `tmpfs`, or `watched`.
    pub disk: String,
    /// What bounds memory: `watched`, beside a limit on each process's address space.
    pub memory: String,
    /// What keeps it off the network: `namespace`, `seccomp`, both (`namespace, seccomp`), or none.
    pub network: String,
    /// What could not be enforced, a sentence each.
    pub missing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> Result<Submission, WorkloadError> {
        let content_type = Some("application/json; charset=utf-8".to_owned());
        Submission::read(&Input { body: body.to_owned().into(), content_type, ..Input::default() })
    }

    #[test]
    fn a_body_that_is_no_json_is_the_source_itself() {
        let body = b"{1: 2}\n".as_slice();
        let submission = Submission::read(&Input::from(body)).unwrap();
        assert_eq!((submission.source.as_slice(), submission.tests), (body, vec![TestCase::default()]));
    }

    #[test]
    fn one_pair_and_a_list_of_cases_are_both_understood() {
        let one = json(r#"{"source": "x", "stdin": "1", "expected_output": "2"}"#).unwrap();
        let list = json(r#"{"source": "x", "tests": [{"stdin": "1", "expected_output": "2"}]}"#).unwrap();
        assert_eq!(one, list);
        assert_eq!(one.tests[0].expected_output.as_deref(), Some("2"));
        let limited = json(r#"{"source": "x", "limits": {"run_seconds": 0.5}}"#).unwrap();
        assert_eq!(limited.limits.run_seconds, Some(0.5));
    }

    #[test]
    fn requests_that_say_nothing_clear_are_refused_with_the_remedy() {
        let complaint = |body| json(body).unwrap_err().to_string();
        assert!(complaint("{").contains("send {\"source\""), "{}", complaint("{"));
        assert!(complaint(r#"{"source": "x", "stdni": ""}"#).contains("stdni"));
        assert!(complaint(r#"{"source": "x", "limits": {"seconds": 1}}"#).contains("run_seconds"));
        assert!(complaint(r#"{"source": "x", "stdin": "", "tests": [{}]}"#).contains("either 'tests'"));
        assert!(complaint(r#"{"source": "x", "tests": []}"#).contains("leave it out"));
        let many = format!(r#"{{"source": "x", "tests": [{}{{}}]}}"#, "{},".repeat(MAX_TESTS));
        assert!(matches!(json(&many), Err(WorkloadError::TooLarge(_))));
    }

    #[test]
    fn verdicts_are_spelt_as_documented() {
        let names = [Verdict::Accepted, Verdict::WrongAnswer, Verdict::CompileError, Verdict::TimeLimit]
            .map(|verdict| serde_json::to_string(&verdict).unwrap());
        assert_eq!(names, ["\"accepted\"", "\"wrong_answer\"", "\"compile_error\"", "\"time_limit\""]);
    }
}
