//! Compiles and runs submitted programs, as an online judge does, each in a jail.

pub mod jail;
pub mod protocol;
mod scratch;
pub mod settings;
mod toolchain;
mod verdict;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use self::jail::{End, Job, Report};
use self::protocol::{
    Compilation, Enforced, Judgement, SHOWN_BYTES, Submission, TestCase, TestResult, Verdict, WantedLimits,
};
use self::scratch::Scratch;
use self::settings::{Limits, Settings};
use self::toolchain::Toolchain;
use super::{Answer, Input, Query, Stopwatch, Workload, WorkloadError};
use crate::config::Config;

/// Its name, as `WORKLOAD` spells it.
pub const NAME_C: &str = "grade-c";
/// Its name, as `WORKLOAD` spells it.
pub const NAME_PYTHON: &str = "grade-python";

/// Languages of submissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// C, compiled first.
    C,
    /// Python.
    Python,
}

/// The workload.
struct Grade {
    language: Language,
    toolchain: Toolchain,
    settings: Settings,
    /// Users that submissions can become; none if the function is not root.
    users: Option<scratch::Users>,
    /// What held the program of the warm-up.
    enforced: OnceLock<Enforced>,
}

/// Makes the workload ready to be called.
///
/// # Errors
/// If there is no compiler or interpreter, or root cannot be given up.
pub fn load(language: Language, config: &Config) -> anyhow::Result<Box<dyn Workload>> {
    let settings = config.grade.clone();
    let given = match language {
        Language::C => &settings.compiler,
        Language::Python => &settings.python,
    };
    let toolchain = Toolchain::find(language, given.as_deref())?;
    // Programs of the same user shall not read this process's memory and environment.
    nix::sys::prctl::set_dumpable(false).context("this process cannot be made private")?;
    let users = scratch::Users::of_this_machine()?;
    Ok(Box::new(Grade { language, toolchain, settings, users, enforced: OnceLock::new() }))
}

impl Workload for Grade {
    fn name(&self) -> &'static str {
        match self.language {
            Language::C => NAME_C,
            Language::Python => NAME_PYTHON,
        }
    }

    fn about(&self) -> Map<String, Value> {
        let (what, limits) = (self.language.toolchain_name(), self.run_limits());
        let about = json!({
            what: { "path": self.toolchain.program, "version": self.toolchain.version },
            "limits": {
                "compile_seconds": self.settings.compile.time.as_secs_f64(),
                "run_seconds": limits.time.as_secs_f64(),
                "request_seconds": self.settings.request.as_secs_f64(),
                "memory_bytes": limits.memory_bytes,
                "output_bytes": limits.output_bytes,
                "processes": limits.processes,
                "disk_bytes": limits.disk_bytes,
            },
            "enforced": self.enforced.get(),
        });
        match about {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    fn warm_up(&self) -> Result<(), WorkloadError> {
        let submission = Submission {
            source: self.language.greeting().to_vec(),
            tests: vec![TestCase { expected_output: Some("ready".into()), ..TestCase::default() }],
            limits: WantedLimits::default(),
        };
        let judgement = self.judge(&submission, &mut Stopwatch::start())?;
        if judgement.verdict != Verdict::Accepted {
            return Err(WorkloadError::Internal(format!(
                "{} cannot be used in the jail: {}",
                self.toolchain.program.display(),
                json!(judgement)
            )));
        }
        eprintln!(
            "function: {} runs the programs that callers send; let nobody reach it whose programs may not run here",
            self.name()
        );
        for what in &judgement.enforced.missing {
            eprintln!("function: the sandbox lacks {what}");
        }
        let _ = self.enforced.set(judgement.enforced);
        Ok(())
    }

    fn handle(&self, input: &Input, _query: &Query) -> Result<Answer, WorkloadError> {
        let mut watch = Stopwatch::start();
        let submission = Submission::read(input)?;
        let judgement = self.judge(&submission, &mut watch)?;
        match json!(judgement) {
            Value::Object(body) => Ok(Answer { body, stages: watch.stages(), ..Answer::default() }),
            _ => Err(WorkloadError::Internal("a judgement is no object".into())),
        }
    }
}

impl Grade {
    fn judge(&self, submission: &Submission, watch: &mut Stopwatch) -> Result<Judgement, WorkloadError> {
        let limits = self.run_limits().lowered(&submission.limits)?;
        let compile_limits = self.settings.compile.compile_lowered(&submission.limits)?;
        let scratch = Scratch::new(self.users.as_ref()).map_err(|error| {
            internal(format!("no private folder: {error}; set TMPDIR to one that every user may enter"))
        })?;
        let source = scratch.add(self.language.source_name(), &submission.source).map_err(internal)?;

        let mut compile = None;
        let mut program = source;
        if self.language == Language::C {
            let built = scratch.path("program");
            let report = self.compile(&scratch, program, &built, compile_limits)?;
            let compilation = compilation(&report, &compile_limits);
            watch.lap("compile");
            if report.end != End::Exited(0) || report.breach.is_some() {
                return Ok(Judgement {
                    verdict: Verdict::CompileError,
                    compile: Some(compilation),
                    tests: Vec::new(),
                    enforced: report.enforced,
                });
            }
            (compile, program) = (Some(compilation), built);
        }

        let until = Instant::now() + self.settings.request;
        let mut tests = Vec::with_capacity(submission.tests.len());
        let mut enforced = Enforced::default();
        for case in &submission.tests {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tests.push(self.not_run());
                continue;
            }
            let limits = Limits { time: limits.time.min(left), ..limits };
            let report = self.run(&scratch, program.clone(), limits, &case.stdin)?;
            tests.push(result(self.language, &report, &limits, case));
            enforced = report.enforced;
        }
        watch.lap("run");
        let failed = tests.iter().map(|test| test.verdict).find(|&verdict| verdict != Verdict::Accepted);
        Ok(Judgement { verdict: failed.unwrap_or(Verdict::Accepted), compile, tests, enforced })
    }

    fn compile(
        &self,
        scratch: &Scratch,
        source: PathBuf,
        to: &Path,
        limits: Limits,
    ) -> Result<Report, WorkloadError> {
        let name = self.language.source_name();
        let command = ["-O2", "-o", "program", name, "-lm"].map(str::to_owned);
        let keep = Some(("program".to_owned(), to.to_owned()));
        let job =
            Job { keep, ..self.job(scratch, (source, name), &self.toolchain.program, &command, limits)? };
        jail::run(&job, b"").map_err(internal)
    }

    fn run(
        &self,
        scratch: &Scratch,
        program: PathBuf,
        limits: Limits,
        stdin: &str,
    ) -> Result<Report, WorkloadError> {
        let job = match self.language {
            Language::C => self.job(scratch, (program, "program"), Path::new("./program"), &[], limits)?,
            Language::Python => {
                let name = self.language.source_name();
                // Isolated: neither the folder nor the user's site-packages are imported from.
                let command = ["-I", "-B", name].map(str::to_owned);
                self.job(scratch, (program, name), &self.toolchain.program, &command, limits)?
            }
        };
        let devices = ["/dev/zero", "/dev/random", "/dev/urandom"].map(PathBuf::from).to_vec();
        jail::run(&Job { devices, ..job }, stdin.as_bytes()).map_err(internal)
    }

    fn job(
        &self,
        scratch: &Scratch,
        (file, name): (PathBuf, &str),
        program: &Path,
        arguments: &[String],
        limits: Limits,
    ) -> Result<Job, WorkloadError> {
        // A compiler looks for its assembler and linker beside itself and in the usual folders.
        let beside = self.toolchain.program.parent().unwrap_or(Path::new("/usr/bin")).display();
        let environment =
            [("PATH", format!("{beside}:/usr/local/bin:/usr/bin:/bin")), ("LANG", "C.UTF-8".into())];
        let mut command = vec![program.display().to_string()];
        command.extend_from_slice(arguments);
        Ok(Job {
            folder: scratch.new_box().map_err(internal)?,
            files: vec![(file, name.to_owned())],
            command,
            environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            readable: self.toolchain.readable.clone(),
            devices: Vec::new(),
            limits,
            user: scratch.user(),
            allow_weak: self.settings.allow_weak_sandbox,
            keep: None,
        })
    }

    fn run_limits(&self) -> Limits {
        match self.language {
            Language::C => self.settings.run_c,
            Language::Python => self.settings.run_python,
        }
    }

    /// A case for which the request had no time left.
    fn not_run(&self) -> TestResult {
        let seconds = self.settings.request.as_secs_f64();
        TestResult {
            verdict: Verdict::TimeLimit,
            reason: Some(format!("not run: the cases before it took all of the request's {seconds} s")),
            exit_code: None,
            signal: None,
            cpu_ms: 0.0,
            wall_ms: 0.0,
            peak_memory_bytes: 0,
            stdout: String::new(),
            stderr: String::new(),
            stdout_bytes: 0,
            stderr_bytes: 0,
        }
    }
}

impl Language {
    fn source_name(self) -> &'static str {
        match self {
            Self::C => "main.c",
            Self::Python => "main.py",
        }
    }

    fn toolchain_name(self) -> &'static str {
        match self {
            Self::C => "compiler",
            Self::Python => "interpreter",
        }
    }

    /// The program of the warm-up.
    fn greeting(self) -> &'static [u8] {
        match self {
            Self::C => b"#include <stdio.h>\nint main(void) { puts(\"ready\"); return 0; }\n",
            Self::Python => b"print('ready')\n",
        }
    }
}

fn compilation(report: &Report, limits: &Limits) -> Compilation {
    let (verdict, reason) = verdict::judge(Language::C, report, limits, None);
    // An ordinary refusal says why by itself.
    let said = report.breach.is_none() && matches!(report.end, End::Exited(_));
    Compilation {
        ms: milliseconds(report.wall),
        cpu_ms: milliseconds(report.cpu),
        stderr: shown(&report.stderr),
        reason: reason
            .filter(|_| verdict != Verdict::Accepted && !said)
            .map(|why| format!("the compiler: {why}")),
    }
}

fn result(language: Language, report: &Report, limits: &Limits, case: &TestCase) -> TestResult {
    let (verdict, reason) = verdict::judge(language, report, limits, case.expected_output.as_deref());
    let (exit_code, signal) = match &report.end {
        End::Exited(code) => (Some(*code), None),
        End::Signalled(name) => (None, Some(name.clone())),
    };
    TestResult {
        verdict,
        reason,
        exit_code,
        signal,
        cpu_ms: milliseconds(report.cpu),
        wall_ms: milliseconds(report.wall),
        peak_memory_bytes: report.peak_memory_bytes,
        stdout: shown(&report.stdout),
        stderr: shown(&report.stderr),
        stdout_bytes: report.stdout.len() as u64,
        stderr_bytes: report.stderr.len() as u64,
    }
}

/// The begin of an output, as text.
fn shown(output: &[u8]) -> String {
    String::from_utf8_lossy(&output[..output.len().min(SHOWN_BYTES)]).into_owned()
}

fn milliseconds(duration: std::time::Duration) -> f64 {
    crate::instance::milliseconds(duration)
}

fn internal(error: impl std::fmt::Display) -> WorkloadError {
    WorkloadError::Internal(error.to_string())
}
