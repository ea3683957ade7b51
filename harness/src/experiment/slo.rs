//! A service level: a percentile of the response time that must be held, and the share of failures
//! that is tolerated.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Limits that a load must be served within.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Slo {
    /// Percentile of the response time (from the intended send), 0..1: 0.99.
    pub quantile: f64,
    /// Its limit, ms.
    pub limit_ms: f64,
    /// Share of failed requests that is tolerated, 0..1.
    pub failures: f64,
}

impl Default for Slo {
    /// p99 of at most 500 ms, at most 1 % failures.
    fn default() -> Self {
        Self { quantile: 0.99, limit_ms: 500.0, failures: 0.01 }
    }
}

/// A service level that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{part}': {cause}; write for example p99<500ms,failures<1%")]
pub struct SloError {
    part: String,
    cause: &'static str,
}

impl Slo {
    /// What is wrong with it, if anything is.
    pub fn problem(&self) -> Option<&'static str> {
        if !(0.5..=0.9999).contains(&self.quantile) {
            return Some("the percentile must be between p50 and p99.99");
        }
        if !(self.limit_ms > 0.0 && self.limit_ms <= 3.6e6) {
            return Some("the limit of the response time must be above 0 and at most an hour");
        }
        (!(1e-4..=0.5).contains(&self.failures))
            .then_some("the share of failures must be between 0.01 % and 50 %: less takes too long to show")
    }

    /// The question that a search for it answers.
    pub fn question(&self) -> String {
        format!("What is the highest rate of requests arriving at random that it serves within {self}?")
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = |value: f64| (value * 1e6).round() / 1e6;
        write!(
            f,
            "p{} <= {} ms and failures <= {} %",
            digits(self.quantile * 100.0),
            digits(self.limit_ms),
            digits(self.failures * 100.0)
        )
    }
}

impl FromStr for Slo {
    type Err = SloError;

    /// Reads `p99<500ms,failures<1%`; what is left out keeps its default. `<=` is taken as well.
    fn from_str(text: &str) -> Result<Self, SloError> {
        let mut slo = Self::default();
        for part in text.split(',').map(str::trim) {
            let fail = |cause| SloError { part: part.to_owned(), cause };
            let (name, limit) = part.split_once('<').ok_or_else(|| fail("it names no limit"))?;
            let limit = limit.trim_start_matches('=').trim();
            let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
            match name.trim() {
                "failures" => {
                    let percent = limit.strip_suffix('%').ok_or_else(|| fail("it is no percentage"))?;
                    slo.failures = number(percent).ok_or_else(|| fail("it is no percentage"))? / 100.0;
                }
                name => {
                    let percent = name.strip_prefix('p').and_then(number);
                    slo.quantile =
                        percent.ok_or_else(|| fail("it names neither a percentile nor failures"))? / 100.0;
                    let time = humantime::parse_duration(limit).map_err(|_| fail("it names no time"))?;
                    slo.limit_ms = time.as_secs_f64() * 1e3;
                }
            }
            if let Some(problem) = slo.problem() {
                return Err(fail(problem));
            }
        }
        Ok(slo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_level_is_read_and_said() {
        let said = |text: &str| text.parse::<Slo>().unwrap().to_string();
        assert_eq!(said("p99<500ms,failures<1%"), "p99 <= 500 ms and failures <= 1 %");
        assert_eq!(said("p99.9 <= 1s"), "p99.9 <= 1000 ms and failures <= 1 %");
        assert_eq!(said("failures<0.1%"), "p99 <= 500 ms and failures <= 0.1 %");
        assert_eq!(said("p95<20ms"), "p95 <= 20 ms and failures <= 1 %");
    }

    #[test]
    fn what_cannot_be_read_is_named_with_the_remedy() {
        let message = |text: &str| text.parse::<Slo>().unwrap_err().to_string();
        let texts = ["p99", "", "p99<fast", "q99<1s", "failures<1", "failures<0%", "p100<1s", "p99<0ms"];
        insta::assert_snapshot!(texts.map(message).join("\n"), @r"
        'p99': it names no limit; write for example p99<500ms,failures<1%
        '': it names no limit; write for example p99<500ms,failures<1%
        'p99<fast': it names no time; write for example p99<500ms,failures<1%
        'q99<1s': it names neither a percentile nor failures; write for example p99<500ms,failures<1%
        'failures<1': it is no percentage; write for example p99<500ms,failures<1%
        'failures<0%': the share of failures must be between 0.01 % and 50 %: less takes too long to show; write for example p99<500ms,failures<1%
        'p100<1s': the percentile must be between p50 and p99.99; write for example p99<500ms,failures<1%
        'p99<0ms': the limit of the response time must be above 0 and at most an hour; write for example p99<500ms,failures<1%
        ");
    }
}
