//! Hostile submissions, sent to the real function one after the other. Each may fail as it likes, but none gets
//! what it wants, none is there afterwards, and the next ordinary submission is judged as ever.
//!
//! `cargo test -p function --test grade_hostile -- --nocapture` shows the table of outcomes. Each program stops by
//! itself soon after it got what it wanted, so that a broken sandbox does not take the machine with it.

mod canary;
mod corpus;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use canary::{Canary, SECRET_OF_ENVIRONMENT, descendants};
use corpus::{C, Language, PYTHON, Program, programs};
use support::Function;
use support::http::{Reply, send};

/// Limits of a hostile submission: short, so that the test is.
const COMPILE_SECONDS: f64 = 3.0;
const RUN_SECONDS: f64 = 1.0;
/// What an answer may take beyond the limits of its submission: the machine may be busy.
const GRACE_SECONDS: f64 = 6.0;
/// An answer is bounded, whatever the submission or its compiler says.
const ANSWER_BYTES: usize = 2 << 20;
/// How long what a submission left may still be seen after its answer.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// What is below this process is counted: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn no_hostile_c_program_gets_what_it_wants_and_none_is_there_afterwards() {
    whole_corpus(C);
}

#[test]
fn no_hostile_python_program_gets_what_it_wants_and_none_is_there_afterwards() {
    whole_corpus(PYTHON);
}

#[test]
fn submissions_at_the_same_time_neither_see_nor_end_each_other() {
    let Some(mut court) = Court::open(C) else { return };
    let victim = "#include <stdio.h>\n#include <unistd.h>\nint main(void) {\
        FILE *f = fopen(\"notes\", \"w\"); fputs(\"notes_of_the_victim_5be2\", f); fclose(f);\
        usleep(1500000); puts(\"unharmed\"); }";
    let victim = json!({ "source": victim, "expected_output": "unharmed\n" });
    let attacker = include_str!("../fixtures/grade/hostile/neighbour.c");
    let prelude = format!(
        "#define BREACH_MARK \"{}\"\n#define FUNCTION_PID {}\n#define CANARY_PID {}\n{}",
        court.canary.mark,
        court.function.pid(),
        court.canary.pid(),
        include_str!("../fixtures/grade/hostile/prelude.h")
    );
    let submission = json!({ "source": format!("{prelude}\n{attacker}"), "limits": { "run_seconds": 1.0 } });
    let address = court.function.address;
    let unharmed = thread::spawn(move || judged(&submit(address, &victim)));
    // The attacker looks for the victim again and again while its time lasts.
    let outcome = judged(&submit(address, &submission));
    let unharmed = unharmed.join().unwrap();
    assert_eq!(unharmed["verdict"], "accepted", "{unharmed}");
    assert_eq!(court.canary.faults_in(&outcome.to_string()), Vec::<String>::new(), "{outcome}");
    assert!(!outcome.to_string().contains("notes_of_the_victim_5be2"), "{outcome}");
    assert_eq!(court.aftermath(), Vec::<String>::new());
}

fn whole_corpus(language: Language) {
    let Some(mut court) = Court::open(language) else { return };
    let programs = programs(language, &court.canary, court.function.pid());
    let mut failed = Vec::new();
    eprintln!("{:<24} {:<14} {:>7}  tries", language.workload, "verdict", "wall ms");
    for program in &programs {
        let (verdict, wall_ms, faults) = court.judge(program);
        eprintln!("{:<24} {verdict:<14} {wall_ms:>7}  {}", program.name, program.tries);
        for fault in &faults {
            eprintln!("{:<24} FAULT: {fault}", "");
        }
        failed.extend(faults.into_iter().map(|fault| format!("{}: {fault}", program.name)));
    }
    assert!(failed.is_empty(), "{} faults:\n{}", failed.len(), failed.join("\n"));
}

/// A function that judges, and what its submissions must not touch.
struct Court {
    language: Language,
    canary: Canary,
    function: Function,
    _alone: std::sync::MutexGuard<'static, ()>,
}

impl Court {
    /// None, said on stderr, where compiler or interpreter is missing.
    fn open(language: Language) -> Option<Self> {
        for (program, package) in language.needs {
            let found =
                Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            if found.is_err() {
                eprintln!("skipped: no {program} here; apt-get install {package}");
                return None;
            }
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // Orphans of the function come to this process, which can so count them.
        set_child_subreaper(true).unwrap();
        // If the sandbox holds nothing, this still does.
        for (resource, bytes) in [(Resource::RLIMIT_AS, 6_u64 << 30), (Resource::RLIMIT_FSIZE, 3 << 30)] {
            let (_, hard) = getrlimit(resource).unwrap();
            setrlimit(resource, bytes.min(hard), hard).unwrap();
        }
        let canary = Canary::new();
        let temporary = canary.temporary.display().to_string();
        let function = support::start_bare(&[
            ("WORKLOAD", language.workload),
            ("TMPDIR", &temporary),
            ("INFERENCE_THREADS", "2"),
            ("TEST_SECRET", SECRET_OF_ENVIRONMENT),
        ]);
        Some(Self { language, canary, function, _alone: alone })
    }

    /// The verdict on a program, how long it took, and all that is wrong.
    fn judge(&mut self, program: &Program) -> (String, u128, Vec<String>) {
        let mut faults = Vec::new();
        let expected = program.says.as_ref().map(|says| format!("{says}\n"));
        let test = |number| json!({ "stdin": format!("{number}\n"), "expected_output": expected });
        let body = json!({
            "source": program.source,
            "tests": (0..program.tests).map(test).collect::<Vec<_>>(),
            "limits": {
                "compile_seconds": COMPILE_SECONDS, "run_seconds": RUN_SECONDS, "memory_bytes": 256 << 20,
                "output_bytes": 1 << 20, "processes": 32, "disk_bytes": 64 << 20,
            },
        });
        let start = Instant::now();
        let reply = submit(self.function.address, &body);
        let wall = start.elapsed();
        let limit_seconds = COMPILE_SECONDS + RUN_SECONDS * program.tests as f64 + GRACE_SECONDS;
        if wall.as_secs_f64() > limit_seconds {
            faults.push(format!("the answer took {:.1} s, beyond {limit_seconds} s", wall.as_secs_f64()));
        }
        if reply.body.len() > ANSWER_BYTES {
            faults.push(format!("the answer has {} bytes", reply.body.len()));
        }
        let answer = judged(&reply);
        let verdict = answer["verdict"].as_str().unwrap_or("none").to_owned();
        // On a busy machine anything may be cut at its time limit.
        if verdict != "time_limit" && !program.verdicts.contains(&verdict) {
            let beginning: String = answer.to_string().chars().take(600).collect();
            faults.push(format!("verdict {verdict}, not one of {:?}: {beginning}", program.verdicts));
        }
        let mut breaches = self.canary.faults_in(&String::from_utf8_lossy(&reply.body));
        breaches.extend(self.canary.faults());
        if program.held_by.as_ref().is_none_or(|what| is_enforced(&answer["enforced"], what)) {
            faults.extend(breaches);
        } else {
            breaches.iter().for_each(|breach| eprintln!("{:<24} not held on this machine: {breach}", ""));
        }
        faults.extend(self.aftermath());
        (verdict, wall.as_millis(), faults)
    }

    /// What is still there of a submission, and whether the function judges as before.
    fn aftermath(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        let start = Instant::now();
        loop {
            let alive = descendants(&[self.function.pid(), self.canary.pid()]);
            let left: Vec<_> =
                fs::read_dir(&self.canary.temporary).unwrap().flatten().map(|e| e.path()).collect();
            if alive.is_empty() && left.is_empty() {
                break;
            }
            if start.elapsed() > GONE_WITHIN {
                faults.extend(alive.iter().map(|process| format!("process {process} is still there")));
                faults.extend(left.iter().map(|path| format!("{} is still there", path.display())));
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let body = json!({ "source": self.language.ordinary, "stdin": "6 7", "expected_output": "42\n" });
        let ordinary = submit(self.function.address, &body);
        let text = String::from_utf8_lossy(&ordinary.body).into_owned();
        if ordinary.status != 200 || judged(&ordinary)["verdict"] != "accepted" {
            faults.push(format!("an ordinary submission afterwards: {} {text}", ordinary.status));
        }
        if start.elapsed().as_secs_f64() > GRACE_SECONDS {
            faults.push(format!("an ordinary submission took {:.1} s", start.elapsed().as_secs_f64()));
        }
        faults.extend(self.canary.faults());
        faults
    }
}

/// Whether the function says that it keeps submissions from this here.
fn is_enforced(enforced: &Value, what: &str) -> bool {
    let namespace =
        |name: &str| enforced["namespaces"].as_array().is_some_and(|all| all.contains(&json!(name)));
    match what {
        "files" => namespace("mount") || enforced["landlock_abi"].as_u64().unwrap_or(0) > 0,
        "network" => enforced["network"].as_str().is_some_and(|by| by != "none"),
        "users" => namespace("pid") || enforced["own_user"] == true,
        _ => panic!("a program is held by '{what}', which this test does not know"),
    }
}

fn submit(address: std::net::SocketAddr, body: &Value) -> Reply {
    send(address, "POST", "/predict", &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

fn judged(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}
