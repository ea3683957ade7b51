//! Reads what wrk prints with `--latency`.
//!
//! wrk rounds what it prints to three digits or so. What it leaves out (a line of errors, say) did
//! not occur. Since version 4 it "corrects" its percentiles: for each latency beyond twice the mean
//! interval between a connection's requests it adds samples that nobody measured (`stats_correct`
//! in its source), so that variable service times look far longer than they are.

use super::Latency;

/// What wrk said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Said {
    /// Answers that it read, error statuses included.
    pub(super) requests: u64,
    /// How long it measured, seconds.
    pub(super) seconds: f64,
    /// Its percentiles; all none when it got no answer at all.
    pub(super) latency_ms: Latency,
    /// Socket errors: connect, read, write, timeout.
    pub(super) socket_errors: [u64; 4],
    /// Answers with a status other than 2xx or 3xx.
    pub(super) bad_status: u64,
}

/// Names of the socket errors, in the order of wrk's line.
pub(super) const SOCKET_ERRORS: [&str; 4] = ["connect", "read", "write", "timeout"];

/// Parses it; none if this is not wrk's output.
pub(super) fn parse(text: &str) -> Option<Said> {
    let mut said = Said::default();
    let mut complete = false;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Latency", mean, _stdev, max, ..] => {
                (said.latency_ms.mean, said.latency_ms.max) = (milliseconds(mean), milliseconds(max));
            }
            ["50%", value] => said.latency_ms.p50 = milliseconds(value),
            ["90%", value] => said.latency_ms.p90 = milliseconds(value),
            ["99%", value] => said.latency_ms.p99 = milliseconds(value),
            // Our script's line: wrk itself ends at 99 %.
            ["harness:", "99.9%", value] => said.latency_ms.p99_9 = milliseconds(value),
            [requests, "requests", "in", seconds, ..] => {
                said.requests = requests.parse().ok()?;
                said.seconds = milliseconds(seconds.trim_end_matches(','))? / 1e3;
                complete = true;
            }
            ["Socket", "errors:", rest @ ..] => {
                for (count, name) in said.socket_errors.iter_mut().zip(SOCKET_ERRORS) {
                    let at = rest.iter().position(|&word| word == name)?;
                    *count = rest.get(at + 1)?.trim_end_matches(',').parse().ok()?;
                }
            }
            ["Non-2xx", "or", "3xx", "responses:", count] => said.bad_status = count.parse().ok()?,
            _ => (),
        }
    }
    if said.requests == 0 {
        // wrk prints zeros where it has nothing.
        said.latency_ms = Latency::default();
    }
    complete.then_some(said)
}

/// `103.00us`, `1.05ms`, `2.10s`, `1.50m` or `0.10h`.
fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 60e3), ("h", 3600e3)];
    let (number, factor) =
        units.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from wrk 4.1.0 (Debian) against small servers on loopback that behave as named.
    macro_rules! recorded {
        ($name:literal) => {
            parse(include_str!(concat!("../../../tests/fixtures/wrk/", $name, ".txt"))).unwrap()
        };
    }

    #[test]
    fn a_plain_run_is_read() {
        let said = recorded!("plain");
        assert_eq!(said.socket_errors, [0; 4]);
        insta::assert_debug_snapshot!(said, @r"
        Said {
            requests: 72150,
            seconds: 2.0,
            latency_ms: Latency {
                mean: Some(
                    0.28749,
                ),
                p50: Some(
                    0.182,
                ),
                p90: Some(
                    0.354,
                ),
                p99: Some(
                    2.92,
                ),
                p99_9: Some(
                    8.94,
                ),
                max: Some(
                    12.66,
                ),
            },
            socket_errors: [
                0,
                0,
                0,
                0,
            ],
            bad_status: 0,
        }
        ");
    }

    #[test]
    fn error_statuses_are_counted_among_the_requests() {
        let said = recorded!("non_2xx");
        assert!(said.bad_status > said.requests / 2 && said.bad_status < said.requests, "{said:?}");
    }

    #[test]
    fn connections_that_break_are_socket_errors() {
        let said = recorded!("read_errors");
        assert!(said.socket_errors[1] > 100, "{said:?}");
        assert_eq!(said.socket_errors[0], 0);
    }

    #[test]
    fn time_outs_are_counted_and_are_in_no_percentile() {
        let said = recorded!("timeouts");
        assert_eq!(said.socket_errors[3], 8, "all eight connections hung for three seconds");
        assert!(said.latency_ms.max.unwrap() < 10.0, "and the longest latency knows nothing of it");
    }

    #[test]
    fn no_answer_at_all_yields_no_percentiles() {
        let said = recorded!("nothing");
        assert_eq!((said.requests, said.latency_ms), (0, Latency::default()));
    }

    #[test]
    fn anything_else_is_not_wrks_output() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused"), None);
        assert_eq!(parse(""), None);
        assert_eq!(milliseconds("1.50m"), Some(90_000.0));
        assert_eq!(milliseconds("-nan%"), None);
    }
}
