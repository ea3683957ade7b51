//! The harness by itself: what it measured against a target of its own that answers at once, before
//! the run. Whatever a platform shows contains this much of the instrument (invariant 7).

use serde::{Deserialize, Serialize};

use super::{summary::Summary, tally::Tally};

/// Key of the figures in `environment.json`.
pub const KEY: &str = "harness_by_itself";

/// Key in `environment.json` of what the generator's machine does not tell.
pub const UNREADABLE_KEY: &str = "self_audit_cannot_read";

/// Share of a measured median service time that the harness's own p99 may be without a notice: the
/// same tenth that lateness may be ([`super::validity::LATENESS_SHARE_OF_MEDIAN`]).
pub const NOTICE_SHARE: f64 = 0.10;

/// Figures of the harness against its null target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HarnessItself {
    /// What lay between generator and target, in words.
    pub route: String,
    /// Highest rate that the experiment offers, requests/s; none without an open load.
    pub highest_rate_rps: Option<f64>,
    /// An open loop at `open_rate_rps`.
    pub open: Option<OwnFigures>,
    /// Rate at which it was played: the highest one, or the least that yields a percentile.
    pub open_rate_rps: f64,
    /// A closed loop, as fast as it goes.
    pub closed: Option<OwnFigures>,
    /// Its connections.
    pub connections: u32,
    /// Why something could not be measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// Figures of one load against the null target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnFigures {
    /// Requests that were measured.
    pub requests: u64,
    /// Correct answers a second.
    pub goodput_rps: f64,
    /// Service time, ms: p50.
    pub service_p50_ms: Option<f64>,
    /// Service time, ms: p99.
    pub service_p99_ms: Option<f64>,
    /// Lateness, ms: p50.
    pub lateness_p50_ms: Option<f64>,
    /// Lateness, ms: p99.
    pub lateness_p99_ms: Option<f64>,
}

impl From<&Tally> for OwnFigures {
    fn from(counts: &Tally) -> Self {
        Self {
            requests: counts.requests,
            goodput_rps: counts.goodput_rps,
            service_p50_ms: counts.service_ms.p50,
            service_p99_ms: counts.service_ms.p99,
            lateness_p50_ms: counts.lateness_ms.p50,
            lateness_p99_ms: counts.lateness_ms.p99,
        }
    }
}

impl HarnessItself {
    /// The figures that a run kept; none in runs of older versions.
    pub fn of(environment: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(environment.get(KEY)?.clone()).ok()
    }

    /// The figures in words.
    pub fn describe(&self) -> String {
        let ms = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |ms| format!("{ms:.2} ms"));
        let mut said = Vec::new();
        if let Some(open) = &self.open {
            let why = match self.highest_rate_rps {
                Some(rate) if rate < self.open_rate_rps => {
                    format!(
                        " (the experiment's highest rate, {rate:.1}/s, is too low for a percentile in a second)"
                    )
                }
                Some(_) => " (the experiment's highest rate)".to_owned(),
                None => String::new(),
            };
            said.push(format!(
                "at {:.0} requests/s{why} service time p50 {} and p99 {}, lateness p50 {} and p99 {}",
                self.open_rate_rps,
                ms(open.service_p50_ms),
                ms(open.service_p99_ms),
                ms(open.lateness_p50_ms),
                ms(open.lateness_p99_ms),
            ));
        }
        if let Some(closed) = &self.closed {
            said.push(format!(
                "in a closed loop of {} connection{} up to {:.0} requests/s, service time p50 {} and p99 {}",
                self.connections,
                if self.connections == 1 { "" } else { "s" },
                closed.goodput_rps,
                ms(closed.service_p50_ms),
                ms(closed.service_p99_ms),
            ));
        }
        said.extend(self.remarks.iter().cloned());
        format!("{}: {}", self.route, said.join("; "))
    }

    /// A notice, if a good part of what was measured somewhere is the harness's own.
    pub fn notice(&self, summary: &Summary) -> Option<String> {
        let own_ms = self.open.as_ref().or(self.closed.as_ref())?.service_p99_ms?;
        let medians = summary.cells.iter().filter_map(|cell| Some((cell, cell.service_ms.p50?)));
        let (cell, fastest_ms) = medians.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        (own_ms > NOTICE_SHARE * fastest_ms).then(|| {
            format!(
                "The harness by itself takes {own_ms:.2} ms (p99, against a target that answers at once), which is {:.0} % \
                 of the median service time of {} under {} ({fastest_ms:.2} ms): differences of that size may be the \
                 harness's own.",
                100.0 * own_ms / fastest_ms,
                cell.subject,
                cell.load
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::{
        RunFacts, cell, run,
        testing::{CellBuilder, experiment, ms},
    };

    fn itself(service_p99_ms: f64) -> HarnessItself {
        let figures = OwnFigures {
            requests: 1000,
            goodput_rps: 12_345.6,
            service_p50_ms: Some(0.08),
            service_p99_ms: Some(service_p99_ms),
            lateness_p50_ms: Some(0.05),
            lateness_p99_ms: Some(0.21),
        };
        HarnessItself {
            route: "over loopback".into(),
            highest_rate_rps: Some(34.0),
            open: Some(figures.clone()),
            open_rate_rps: 500.0,
            closed: Some(figures),
            connections: 8,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn it_is_described_with_its_rate_and_why_that_one() {
        insta::assert_snapshot!(itself(0.3).describe(), @"over loopback: at 500 requests/s (the experiment's highest rate, 34.0/s, is too low for a percentile in a second) service time p50 0.08 ms and p99 0.30 ms, lateness p50 0.05 ms and p99 0.21 ms; in a closed loop of 8 connections up to 12346 requests/s, service time p50 0.08 ms and p99 0.30 ms");
    }

    #[test]
    fn more_than_a_tenth_of_the_fastest_median_is_worth_a_notice() {
        // Answers take 20.6 ms in the median.
        let data = CellBuilder::open(50.0).taking(|_| ms(20)).build();
        let plan = [data.meta.cell.clone()];
        let cells = vec![cell(data).summary];
        let summary = run(&experiment(1, vec![plan[0].load.clone()]), &plan, cells, RunFacts::default());
        assert_eq!(itself(2.0).notice(&summary), None);
        let notice = itself(4.2).notice(&summary).unwrap();
        assert!(notice.contains("4.20 ms (p99") && notice.contains("20 % of the median"), "{notice}");
        assert_eq!(HarnessItself::default().notice(&summary), None);
    }

    #[test]
    fn a_run_of_an_older_version_has_none() {
        assert_eq!(HarnessItself::of(&serde_json::json!({ "seed": 1 })), None);
        let kept = serde_json::json!({ KEY: itself(1.0) });
        assert_eq!(HarnessItself::of(&kept), Some(itself(1.0)));
    }
}
