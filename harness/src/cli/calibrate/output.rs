//! A calibration for people and for scripts.

use std::fmt::Write;

use serde_json::json;

use super::{Request, measure::Measured};
use crate::{
    analyse::calibration::{ALLOWED, COMPARED, CONFIDENCE, Calibration, Figures, Told},
    drive::drivers::Driver,
    reports::format,
};

/// Width of a driver's name.
const NAME: usize = 24;

/// As JSON. Times are in milliseconds, errors relative (0.01 is 1 %).
pub(super) fn json(request: &Request, measured: &Measured) -> String {
    let result = json!({
        "duration_s": request.duration.as_secs_f64(),
        "seed": request.seed,
        "quantiles": COMPARED.map(|(_, name)| name),
        "allowed_error": ALLOWED,
        "confidence": CONFIDENCE,
        "passed": measured.passed(),
        "interrupted": measured.interrupted,
        "missing": request.missing,
        "does_not_give": request.drivers.iter().map(|d| (d.name(), d.does_not_give())).collect::<std::collections::BTreeMap<_, _>>(),
        "calibrations": measured.calibrations,
    });
    format!("{result:#}")
}

/// For people: a table for each behaviour.
pub(super) fn text(request: &Request, measured: &Measured) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |content: &str| _ = writeln!(text, "{}", content.trim_end());
    for calibration in &measured.calibrations {
        table(calibration, request, &mut line);
        line("");
    }
    for driver in request.drivers.iter().filter(|&&driver| driver != Driver::Native) {
        line(driver.does_not_give());
    }
    request.missing.iter().for_each(|missing| line(missing));
    let failed: Vec<String> = measured
        .calibrations
        .iter()
        .filter(|calibration| !calibration.passed)
        .map(|calibration| format!("{} ({})", calibration.behaviour.name(), calibration.off.join(", ")))
        .collect();
    let native = request.drivers.contains(&Driver::Native);
    match (native, failed.as_slice()) {
        _ if measured.interrupted || measured.failure.is_some() => {
            line("Ended early: the behaviours above are complete, the rest is missing.");
        }
        (false, _) => line("Our own open loop was not asked."),
        (true, []) => line(
            "PASS   Our open loop is within 1 % of the truth, or within its sampling error (99.9 %), everywhere.",
        ),
        (true, failed) => line(&format!(
            "FAIL   Our open loop is off for {}. Measure on an idle machine with two cores, with a release build; if it stays so, the harness must not be trusted with such times here.",
            failed.join(", ")
        )),
    }
    text
}

fn table(calibration: &Calibration, request: &Request, line: &mut impl FnMut(&str)) {
    let Calibration { behaviour, rate, connections, .. } = calibration;
    line(&format!("{}   ({behaviour})", capital(&behaviour.words())));
    line(&format!(
        "open loop: Poisson, {} requests/s; closed loops: {connections} connections; {} each",
        format::setting(*rate),
        humantime::format_duration(request.duration)
    ));
    let heads = COMPARED.map(|(_, name)| format!("{:>9}{:9}", format!("{name} ms"), "")).concat();
    line(&format!("{:NAME$}{heads}{:>9}{:>8}", "", "requests", "failed"));
    line(&row("true", &calibration.true_ms, None, None));
    if calibration.target_ms.iter().any(Option::is_some) {
        line(&row("  as the target gave it", &calibration.target_ms, Some(&calibration.target_error), None));
    }
    for open in [true, false] {
        if !open && calibration.true_closed_ms != calibration.true_ms {
            line(&row("true, in a closed loop", &calibration.true_closed_ms, None, None));
        }
        for driver in calibration.drivers.iter().filter(|driver| driver.told.open == open) {
            line(&row(
                &format!("  {}", driver.told.driver),
                &driver.told.ms,
                Some(&driver.error),
                Some(&driver.told),
            ));
        }
    }
    if let [Some(median), Some(p99)] = calibration.target_late_ms {
        line(&format!(
            "The target itself answered {} ms after it meant to (median), {} ms (p99).",
            format::number(median),
            format::number(p99)
        ));
    }
    line(&calibration.words);
}

fn row(name: &str, ms: &Figures, error: Option<&Figures>, told: Option<&Told>) -> String {
    let mut row = format!("{name:<NAME$}");
    for i in 0..ms.len() {
        let value = ms[i].map_or_else(|| "-".into(), |ms| format!("{ms:.2}"));
        let error = error.and_then(|error| error[i]).map_or_else(String::new, signed);
        // Writing to a String cannot fail.
        let _ = write!(row, "{value:>9}{error:>8} ");
    }
    if let Some(told) = told {
        let _ = write!(row, "{:>9}{:>8}", told.requests, told.failed);
    }
    row
}

/// A relative error as `+1.2%`; a hundredfold as `x100`.
fn signed(error: f64) -> String {
    if error >= 9.995 { format!("x{:.0}", error + 1.0) } else { format!("{:+.1}%", error * 100.0) }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::analyse::calibration::{Measured as Calibrated, calibrate};

    fn told(driver: &str, open: bool, ms: [f64; 4]) -> Told {
        let interval_ms = ms.map(|ms| Some((ms * 0.98, Some(ms * 1.02))));
        Told { driver: driver.into(), open, requests: 15_000, failed: 0, ms: ms.map(Some), interval_ms }
    }

    fn measured() -> (Request, Measured) {
        let calibration = calibrate(Calibrated {
            behaviour: "stalls:20ms:1s:10s".parse().unwrap(),
            rate: 500.0,
            connections: 10,
            served_ms: (0..20_000)
                .map(|i| if i < 17_960 { 20.03 } else { f64::from(i - 17_960) / 2.0 + 20.03 })
                .collect(),
            late_ms: vec![0.03; 100],
            told: vec![
                told("native open loop", true, [20.1, 40.2, 941.0, 1019.5]),
                told("native closed loop", false, [20.1, 20.2, 20.9, 1020.4]),
                told("goose", false, [20.2, 20.4, 21.1, 1024.0]),
                Told {
                    ms: [Some(20.09), Some(20.2), Some(20.5), None],
                    failed: 2,
                    ..told("wrk", false, [0.0; 4])
                },
            ],
        });
        let request = Request {
            behaviours: vec![calibration.behaviour],
            drivers: vec![Driver::Native, Driver::Wrk],
            missing: vec!["Without goose: it is not built in.".into()],
            duration: Duration::from_secs(30),
            rate: 500.0,
            connections: 10,
            seed: 1,
            quiet: true,
        };
        (request, Measured { calibrations: vec![calibration], interrupted: false, failure: None })
    }

    #[test]
    fn the_table_puts_every_word_beside_the_truth() {
        let (request, measured) = measured();
        insta::assert_snapshot!(text(&request, &measured), @r"
        Constant, 20ms, but the server freezes for 1s every 10s   (stalls:20ms:1s:10s)
        open loop: Poisson, 500 requests/s; closed loops: 10 connections; 30s each
                                   p50 ms            p90 ms            p99 ms          p99.9 ms          requests  failed
        true                        20.00             40.00            940.00           1020.00
          as the target gave it     20.03   +0.2%     39.53   -1.2%    939.53   -0.1%   1029.53   +0.9%
          native open loop          20.10   +0.5%     40.20   +0.5%    941.00   +0.1%   1019.50   -0.0%     15000       0
        true, in a closed loop      20.00             20.00             20.00           1020.00
          native closed loop        20.10   +0.5%     20.20  -49.5%     20.90  -97.8%   1020.40   +0.0%     15000       0
          goose                     20.20   +1.0%     20.40  -49.0%     21.10  -97.8%   1024.00   +0.4%     15000       0
          wrk                       20.09   +0.4%     20.20  -49.5%     20.50  -97.8%         -             15000       2
        The target itself answered 0.0300 ms after it meant to (median), 0.0300 ms (p99).
        A closed loop hides the stall; the true p99 is 940.0 ms: native open loop says 941.0 ms, native closed loop says 20.9 ms, goose says 21.1 ms, wrk says 20.5 ms.

        wrk gives percentiles only: no record of a request, no lateness; a request that got no answer is in none of them, and below each latency beyond twice its mean interval it makes up samples (stats_correct).
        Without goose: it is not built in.
        PASS   Our open loop is within 1 % of the truth, or within its sampling error (99.9 %), everywhere.
        ");
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let (request, mut measured) = measured();
        measured.calibrations[0].passed = false;
        measured.calibrations[0].off = vec!["p50", "p99"];
        assert!(
            text(&request, &measured)
                .contains("FAIL   Our open loop is off for stalls (p50, p99). Measure on an idle")
        );
        assert!(!measured.passed());
    }

    #[test]
    fn json_names_its_units_and_errors() {
        let (request, measured) = measured();
        let read: serde_json::Value = serde_json::from_str(&json(&request, &measured)).unwrap();
        let native = &read["calibrations"][0]["drivers"][0];
        assert_eq!(native["driver"], "native open loop");
        assert_eq!(native["ms"][2], 941.0);
        assert!((native["error"][2].as_f64().unwrap() - 0.001).abs() < 1e-3);
        assert_eq!(read["calibrations"][0]["behaviour"], "stalls:20ms:1s:10s");
        assert_eq!(read["passed"], true);
    }
}
