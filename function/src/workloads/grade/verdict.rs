//! From how a program ended to what is said of it. Pure.
//!
//! The rule, first match wins:
//! 1. the jail ended it for a limit: that limit's verdict;
//! 2. it ended by SIGXCPU: time limit; by SIGXFSZ: output limit;
//! 3. it failed (exit code other than 0, or a signal) after it had come within 5 % of the memory
//!    limit, or, in Python, with `MemoryError`: memory limit;
//! 4. it failed otherwise: runtime error;
//! 5. its output is not the expected one: wrong answer; else accepted.

use super::Language;
use super::jail::{Breach, End, Report};
use super::protocol::Verdict;
use super::settings::Limits;

/// What is said of a run, and why, where it is not accepted.
pub fn judge(
    language: Language,
    report: &Report,
    limits: &Limits,
    expected_output: Option<&str>,
) -> (Verdict, Option<String>) {
    if let Some(breach) = report.breach {
        let (verdict, reason) = breached(breach, limits);
        return (verdict, Some(reason));
    }
    let failure = match &report.end {
        End::Exited(0) => None,
        End::Exited(code) => Some(format!("exit code {code}")),
        End::Signalled(name) if name == "SIGXCPU" => {
            return (Verdict::TimeLimit, Some(breached(Breach::Cpu, limits).1));
        }
        End::Signalled(name) if name == "SIGXFSZ" => {
            return (Verdict::OutputLimit, Some(breached(Breach::Disk, limits).1));
        }
        End::Signalled(name) => Some(format!("ended by {name}")),
    };
    match failure {
        Some(how) if ran_out_of_memory(language, report, limits) => {
            let limit = limits.memory_bytes;
            (Verdict::MemoryLimit, Some(format!("{how}, at the limit of {limit} bytes of memory")))
        }
        Some(how) => (Verdict::RuntimeError, Some(how)),
        None => match expected_output {
            Some(expected) if !same_output(&report.stdout, expected.as_bytes()) => {
                (Verdict::WrongAnswer, Some("the output is not the expected one".into()))
            }
            _ => (Verdict::Accepted, None),
        },
    }
}

/// Verdict and reason of a limit that was passed.
fn breached(breach: Breach, limits: &Limits) -> (Verdict, String) {
    let seconds = limits.time.as_secs_f64();
    match breach {
        Breach::Wall => (Verdict::TimeLimit, format!("over {seconds} s of wall time")),
        Breach::Cpu => (Verdict::TimeLimit, format!("over {seconds} s of CPU time")),
        Breach::Memory => (Verdict::MemoryLimit, format!("over {} bytes of memory", limits.memory_bytes)),
        Breach::Output => (Verdict::OutputLimit, format!("over {} bytes of output", limits.output_bytes)),
        Breach::Disk => (Verdict::OutputLimit, format!("over {} bytes of files", limits.disk_bytes)),
        Breach::Processes => (
            Verdict::RuntimeError,
            format!("over {} processes and threads at the same time", limits.processes),
        ),
    }
}

/// The kernel refuses memory by an error to the program, which says nothing to others. That it
/// was memory follows from how near it came, and from Python's own word.
fn ran_out_of_memory(language: Language, report: &Report, limits: &Limits) -> bool {
    let near = report.peak_memory_bytes >= limits.memory_bytes / 100 * 95;
    let said = language == Language::Python
        && report
            .stderr
            .trim_ascii_end()
            .rsplit(|&byte| byte == b'\n')
            .next()
            .is_some_and(|line| line.starts_with(b"MemoryError"));
    near || said
}

/// Whether an output is the expected one: line by line and byte by byte, after white space at the
/// ends of lines and empty lines at the end are taken off both.
pub fn same_output(actual: &[u8], expected: &[u8]) -> bool {
    lines(actual).eq(lines(expected))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.trim_ascii_end().split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        time: Duration::from_secs(2),
        memory_bytes: 100 << 20,
        output_bytes: 1 << 20,
        processes: 8,
        disk_bytes: 1 << 20,
    };

    fn ended(end: End) -> Report {
        Report { stdout: b"42\n".to_vec(), ..Report::of(end) }
    }

    fn verdict(report: &Report, expected: Option<&str>) -> Verdict {
        judge(Language::C, report, &LIMITS, expected).0
    }

    #[test]
    fn exit_code_zero_is_accepted_unless_another_output_was_expected() {
        let report = ended(End::Exited(0));
        assert_eq!(verdict(&report, None), Verdict::Accepted);
        assert_eq!(verdict(&report, Some("42")), Verdict::Accepted);
        assert_eq!(verdict(&report, Some("43")), Verdict::WrongAnswer);
    }

    #[test]
    fn a_failure_comes_before_the_output() {
        assert_eq!(verdict(&ended(End::Exited(3)), Some("42")), Verdict::RuntimeError);
        let crashed = ended(End::Signalled("SIGSEGV".into()));
        let (verdict, reason) = judge(Language::C, &crashed, &LIMITS, Some("42"));
        assert_eq!((verdict, reason.as_deref()), (Verdict::RuntimeError, Some("ended by SIGSEGV")));
    }

    #[test]
    fn a_limit_comes_before_everything_and_is_named() {
        let stopped = |breach| {
            let end = End::Signalled("SIGKILL".into());
            judge(Language::C, &Report { breach: Some(breach), ..ended(end) }, &LIMITS, None)
        };
        assert_eq!(stopped(Breach::Wall), (Verdict::TimeLimit, Some("over 2 s of wall time".into())));
        assert_eq!(stopped(Breach::Memory).0, Verdict::MemoryLimit);
        assert_eq!(stopped(Breach::Output).0, Verdict::OutputLimit);
        assert_eq!(verdict(&ended(End::Signalled("SIGXCPU".into())), None), Verdict::TimeLimit);
        assert_eq!(verdict(&ended(End::Signalled("SIGXFSZ".into())), None), Verdict::OutputLimit);
    }

    #[test]
    fn a_failure_at_the_memory_limit_is_the_memory_limit() {
        let report = |peak| Report { peak_memory_bytes: peak, ..ended(End::Exited(1)) };
        assert_eq!(verdict(&report(96 << 20), None), Verdict::MemoryLimit);
        assert_eq!(verdict(&report(90 << 20), None), Verdict::RuntimeError);
        let said = Report { stderr: b"Traceback:\nMemoryError\n".to_vec(), ..ended(End::Exited(1)) };
        assert_eq!(judge(Language::Python, &said, &LIMITS, None).0, Verdict::MemoryLimit);
        assert_eq!(judge(Language::C, &said, &LIMITS, None).0, Verdict::RuntimeError);
        // It survived: nothing went wrong.
        let survived = Report { peak_memory_bytes: 99 << 20, ..ended(End::Exited(0)) };
        assert_eq!(verdict(&survived, None), Verdict::Accepted);
    }

    #[test]
    fn white_space_at_the_ends_does_not_count_and_everything_else_does() {
        assert!(same_output(b"a  \r\nb\n\n\n", b"a\nb"));
        assert!(same_output(b"", b"\n \n"));
        assert!(!same_output(b"a\n\nb", b"a\nb"));
        assert!(!same_output(b" a", b"a"));
        assert!(!same_output(b"a b", b"a  b"));
        assert!(!same_output(b"A", b"a"));
    }

    proptest! {
        #[test]
        fn an_output_equals_itself_with_white_space_added_at_the_ends(
            lines in prop::collection::vec("[a-c ]{0,4}", 0..6), pad in "[ \t\r]{0,3}", tail in "[ \n]{0,3}",
        ) {
            let plain = lines.join("\n");
            let padded = lines.join(&format!("{pad}\n")) + &tail;
            prop_assert!(same_output(plain.as_bytes(), padded.as_bytes()));
            let other = format!("x{plain}");
            prop_assert!(!same_output(plain.as_bytes(), other.as_bytes()));
        }
    }
}
