//! Ordinary submissions, judged by the real function with the real compiler and interpreter.
//! What hostile ones may do is in `grade_hostile`.

mod support;

use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use support::http::{get, post, send};
use support::{Function, refused, start_bare};

/// A sum of two numbers.
const SUM: &str = "#include <stdio.h>\nint main(void) { int a, b; if (scanf(\"%d %d\", &a, &b) != 2) return 3; \
                   printf(\"%d\\n\", a + b); return 0; }";

fn is_there(program: &str, package: &str) -> bool {
    let output = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = output.is_ok_and(|status| status.success());
    if !there {
        eprintln!("skipped: no {program} here; apt-get install {package}");
    }
    there
}

fn judge_c() -> Option<Function> {
    is_there("cc", "gcc libc6-dev")
        .then(|| start_bare(&[("WORKLOAD", "grade-c"), ("INFERENCE_THREADS", "2")]))
}

fn judge_python() -> Option<Function> {
    is_there("python3", "python3").then(|| start_bare(&[("WORKLOAD", "grade-python")]))
}

fn ask(function: &Function, body: &Value) -> Value {
    let headers = [("Content-Type", "application/json")];
    let reply = send(function.address, "POST", "/predict", &headers, body.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

#[test]
fn a_c_program_is_compiled_once_and_each_case_has_its_verdict() {
    let Some(function) = judge_c() else { return };
    let case = |stdin: &str, expected: &str| json!({ "stdin": stdin, "expected_output": expected });
    let right =
        ask(&function, &json!({ "source": SUM, "tests": [case("1 2", "3\n"), case("4 5", "9  \n\n")] }));
    assert_eq!(right["verdict"], "accepted", "{right}");
    assert_eq!(right["tests"].as_array().map(Vec::len), Some(2));
    assert!(right["compile"]["ms"].as_f64().unwrap() > 0.0);
    assert!(right["timing_ms"]["compile"].as_f64().unwrap() > 0.0 && right["timing_ms"]["run"].is_number());

    let wrong = ask(
        &function,
        &json!({ "source": SUM, "tests": [case("1 2", "3"), case("4 5", "10"), case("", "0")] }),
    );
    let verdicts: Vec<_> =
        wrong["tests"].as_array().unwrap().iter().map(|test| test["verdict"].as_str().unwrap()).collect();
    assert_eq!(
        (&wrong["verdict"], verdicts),
        (&json!("wrong_answer"), vec!["accepted", "wrong_answer", "runtime_error"])
    );
    assert_eq!((&wrong["tests"][1]["stdout"], &wrong["tests"][2]["exit_code"]), (&json!("9\n"), &json!(3)));

    let broken = ask(&function, &json!({ "source": "int main(void) { return x; }" }));
    assert_eq!((&broken["verdict"], &broken["tests"]), (&json!("compile_error"), &json!([])));
    assert!(broken["compile"]["stderr"].as_str().unwrap().contains("main.c:1:"), "{broken}");
}

#[test]
fn a_c_program_that_fails_is_told_how() {
    let Some(function) = judge_c() else { return };
    let run = |source: &str, limits: Value| ask(&function, &json!({ "source": source, "limits": limits }));

    let crash = run("int main(void) { volatile int *p = 0; return *p; }", json!({}));
    assert_eq!(
        (&crash["verdict"], &crash["tests"][0]["signal"]),
        (&json!("runtime_error"), &json!("SIGSEGV"))
    );

    let endless = run("int main(void) { for (;;) {} }", json!({ "run_seconds": 0.3 }));
    assert_eq!(endless["verdict"], "time_limit", "{endless}");
    let wall_ms = endless["tests"][0]["wall_ms"].as_f64().unwrap();
    assert!((300.0..5000.0).contains(&wall_ms), "{endless}");

    let greedy = "#include <stdlib.h>\n#include <string.h>\nint main(void) { for (;;) { char *p = malloc(1 << 20); \
                  if (!p) return 1; memset(p, 1, 1 << 20); } }";
    let greedy = run(greedy, json!({ "memory_bytes": 64 << 20, "run_seconds": 20.0 }));
    assert_eq!(greedy["verdict"], "memory_limit", "{greedy}");
    assert!(greedy["tests"][0]["peak_memory_bytes"].as_u64().unwrap() >= 60 << 20, "{greedy}");

    let loud = "#include <stdio.h>\nint main(void) { for (;;) puts(\"more\"); }";
    let loud = run(loud, json!({ "output_bytes": 4096 }));
    assert_eq!(loud["verdict"], "output_limit", "{loud}");
    assert!(loud["tests"][0]["stdout"].as_str().unwrap().len() <= 4096);
}

#[test]
fn a_python_program_reads_its_input_and_shows_its_traceback() {
    let Some(function) = judge_python() else { return };
    let source = "print(sum(map(int, input().split())))";
    let right = ask(&function, &json!({ "source": source, "stdin": "20 22", "expected_output": "42" }));
    assert_eq!((&right["verdict"], &right["compile"]), (&json!("accepted"), &Value::Null), "{right}");

    // The source itself as the body, as a browser's form or curl sends it.
    let text = post(function.address, "/", b"print('hello')\nraise SystemExit(4)\n").json();
    assert_eq!((&text["verdict"], &text["tests"][0]["exit_code"]), (&json!("runtime_error"), &json!(4)));
    assert_eq!(text["tests"][0]["stdout"], "hello\n");

    let misspelt = ask(&function, &json!({ "source": "print(" }));
    assert_eq!(misspelt["verdict"], "runtime_error");
    assert!(misspelt["tests"][0]["stderr"].as_str().unwrap().contains("SyntaxError"), "{misspelt}");

    let greedy = json!({ "source": "x = bytearray(10 ** 11)", "limits": { "memory_bytes": 64 << 20 } });
    assert_eq!(ask(&function, &greedy)["verdict"], "memory_limit");
}

#[test]
fn python_computes_what_ordinary_programs_need_though_it_is_jailed() {
    let Some(function) = judge_python() else { return };
    let source = "import os, subprocess, sys, tempfile, threading, random, decimal, asyncio, json\n\
                  with tempfile.NamedTemporaryFile('w+') as f:\n    f.write('kept'); f.seek(0); assert f.read() == 'kept'\n\
                  done = []\n\
                  t = threading.Thread(target=lambda: done.append(1)); t.start(); t.join(); assert done\n\
                  asyncio.run(asyncio.sleep(0.001))\n\
                  child = subprocess.run([sys.executable, '-I', '-c', 'print(7)'], capture_output=True, text=True)\n\
                  print(child.stdout.strip(), len(os.urandom(4)), os.environ.get('TEST_SECRET'))\n";
    let body = json!({ "source": source, "expected_output": "7 4 None" });
    let answer = ask(&function, &body);
    assert_eq!(answer["verdict"], "accepted", "{answer}");
}

#[test]
fn submissions_at_the_same_time_each_have_their_own_limits() {
    let Some(function) = judge_c() else { return };
    let address = function.address;
    let threads: Vec<_> = (1..=4)
        .map(|number: u64| {
            thread::spawn(move || {
                let source = "#include <stdio.h>\n#include <unistd.h>\nint main(void) { int n; scanf(\"%d\", &n); \
                              usleep(100000); printf(\"%d\\n\", n); fflush(stdout); if (n % 2) for (;;) pause(); return 0; }";
                let limits = json!({ "run_seconds": 1.0 });
                let body = json!({ "source": source, "stdin": number.to_string(), "limits": limits });
                let headers = [("Content-Type", "application/json")];
                let reply = send(address, "POST", "/", &headers, body.to_string().as_bytes());
                (number, reply.json())
            })
        })
        .collect();
    for thread in threads {
        let (number, answer) = thread.join().unwrap();
        assert_eq!(answer["tests"][0]["stdout"].as_str().unwrap(), format!("{number}\n"));
        let expected = if number % 2 == 1 { "time_limit" } else { "accepted" };
        assert_eq!(answer["verdict"], expected, "{answer}");
    }
}

#[test]
fn what_holds_a_program_is_in_every_answer_and_on_the_page() {
    let Some(function) = judge_python() else { return };
    let answer = ask(&function, &json!({ "source": "print(1)" }));
    assert_eq!(answer["enforced"]["seccomp"], true, "{answer}");
    assert!(answer["enforced"]["landlock_abi"].as_u64().unwrap() > 0, "{answer}");
    let page = get(function.address, "/").json();
    assert_eq!(page["uses"]["enforced"], answer["enforced"]);
    assert!(page["uses"]["interpreter"]["version"].as_str().unwrap().starts_with("Python 3"));
    assert_eq!(page["uses"]["limits"]["run_seconds"], 60.0);
}

#[test]
fn a_request_that_wants_more_than_it_may_is_refused_with_the_limit() {
    let Some(function) = judge_python() else { return };
    let headers = [("Content-Type", "application/json")];
    let refused = |body: &str| {
        let reply = send(function.address, "POST", "/", &headers, body.as_bytes());
        (reply.status, reply.json()["detail"].as_str().unwrap().to_owned())
    };
    let (status, detail) = refused(r#"{"source": "1", "limits": {"run_seconds": 61}}"#);
    assert_eq!(status, 400);
    assert!(detail.contains("from 0.001 to the configured 60"), "{detail}");
    let (status, detail) = refused(r#"{"sources": "1"}"#);
    assert_eq!(status, 422);
    assert!(detail.contains("sources"), "{detail}");
}

#[test]
fn a_missing_compiler_is_named_with_its_remedy() {
    let (code, errors) = refused(&[("WORKLOAD", "grade-c"), ("CC", "no-such-compiler")]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("no-such-compiler was not found; set CC"), "{errors}");
}

#[test]
fn a_program_ends_with_the_function_that_runs_it() {
    let Some(mut function) = judge_python() else { return };
    let address = function.address;
    let mark = "import time  # survivor_81c7\ntime.sleep(50)";
    // The answer never comes: its function is killed.
    thread::spawn(move || std::panic::catch_unwind(|| post(address, "/", mark.as_bytes())));
    let below = |pid: u32| {
        let list = format!("/proc/{pid}/task");
        let tasks =
            std::fs::read_dir(list).map(|tasks| tasks.flatten().collect::<Vec<_>>()).unwrap_or_default();
        let children =
            tasks.iter().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        children.collect::<String>().split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
    };
    let is_sleeping = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with("main.py\0"))
    };
    let program = support::http::wait_for("the program", || {
        let supervisors = below(function.pid());
        supervisors.iter().flat_map(|&pid| below(pid)).find(is_sleeping)
    });
    function.signal(nix::sys::signal::Signal::SIGKILL);
    function.wait();
    support::http::wait_for("the end of the program", || (!is_sleeping(&program)).then_some(()));
}
