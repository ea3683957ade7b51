//! Thresholds on a run's figures: `p99<500ms`, `failures<1%`, `ratio>1.1`.
//!
//! ```text
//! METRIC[@LOAD][:SUBJECT] OP VALUE[UNIT]
//!
//! p50 p90 p95 p99 p99.9 mean max   response time from the intended send      500ms, 1.5s, 800us
//! failures                         share of requests that failed             1%
//! goodput, achieved                correct answers, answers of any kind      30, 30/s
//! ratio                            contender / baseline, primary metric      1.1
//! OP                               < <= > >=
//! ```
//! Without `@LOAD` a threshold holds for every load point, without `:SUBJECT` for every subject.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Experiment, ExperimentError, file::Checks};

/// A condition that a run's figures must meet; a run that does not ends with exit code 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Threshold {
    /// As it was written, without spaces.
    text: String,
    /// What is looked at.
    pub quantity: Quantity,
    /// Load point; none: all of them.
    pub load: Option<String>,
    /// Subject (of a ratio, the contender); none: all of them.
    pub subject: Option<String>,
    /// On which side of the limit it must be.
    pub operator: Operator,
    /// The limit: ms, share (0..1), answers a second or ratio.
    pub limit: f64,
}

/// What a threshold looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// A figure of the response time, by its name in `Quantiles`: `p50` to `p99_9`, `mean`, `max`.
    Response(&'static str),
    /// Share of requests that failed.
    Failures,
    /// Correct answers a second.
    Goodput,
    /// Answers of any kind a second.
    Achieved,
    /// Contender / baseline of the primary metric.
    Ratio,
}

/// Names as they are written, and what they mean.
const QUANTITIES: [(&str, Quantity); 11] = [
    ("p50", Quantity::Response("p50")),
    ("p90", Quantity::Response("p90")),
    ("p95", Quantity::Response("p95")),
    ("p99", Quantity::Response("p99")),
    ("p99.9", Quantity::Response("p99_9")),
    ("mean", Quantity::Response("mean")),
    ("max", Quantity::Response("max")),
    ("failures", Quantity::Failures),
    ("goodput", Quantity::Goodput),
    ("achieved", Quantity::Achieved),
    ("ratio", Quantity::Ratio),
];

/// How a figure must compare with the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Operator {
    /// Whether this figure meets the limit.
    pub fn holds(self, figure: f64, limit: f64) -> bool {
        match self {
            Self::Below => figure < limit,
            Self::AtMost => figure <= limit,
            Self::Above => figure > limit,
            Self::AtLeast => figure >= limit,
        }
    }

    /// Whether more is safer.
    pub fn is_floor(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }
}

impl Threshold {
    /// Whether it is one of comparisons.
    pub fn is_ratio(&self) -> bool {
        self.quantity == Quantity::Ratio
    }

    /// Whether it speaks of this load point and this subject.
    pub fn covers(&self, load: &str, subject: &str) -> bool {
        self.load.as_deref().is_none_or(|name| name == load)
            && self.subject.as_deref().is_none_or(|name| name == subject)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Threshold> for String {
    fn from(threshold: Threshold) -> Self {
        threshold.text
    }
}

impl TryFrom<String> for Threshold {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let text: String = written.chars().filter(|c| !c.is_whitespace()).collect();
        let wrong = |what: String| format!("the threshold '{written}' {what}");
        let Some(at) = text.find(['<', '>']) else {
            return Err(wrong("has no < or >; write for example 'p99<500ms'".into()));
        };
        let (left, right) = text.split_at(at);
        let (operator, value) = match (right.strip_prefix("<="), right.strip_prefix(">=")) {
            (Some(value), _) => (Operator::AtMost, value),
            (_, Some(value)) => (Operator::AtLeast, value),
            _ if right.starts_with('<') => (Operator::Below, &right[1..]),
            _ => (Operator::Above, &right[1..]),
        };
        let (left, subject) = optional(left, ':');
        let (name, load) = optional(left, '@');
        if [load, subject].contains(&Some("")) {
            return Err(wrong("names nothing after '@' or ':'; write METRIC[@LOAD][:SUBJECT]".into()));
        }
        let Some(&(_, quantity)) = QUANTITIES.iter().find(|(known, _)| *known == name) else {
            let known = QUANTITIES.map(|(known, _)| known).join(", ");
            return Err(wrong(format!("looks at '{name}', which is not one of {known}")));
        };
        let limit = limit(quantity, value).map_err(wrong)?;
        let (load, subject) = (load.map(str::to_owned), subject.map(str::to_owned));
        Ok(Self { quantity, load, subject, operator, limit, text: text.clone() })
    }
}

/// What stands before and, if it is there, after the first such character.
fn optional(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// The limit in the unit of its quantity.
fn limit(quantity: Quantity, value: &str) -> Result<f64, String> {
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let Ok(number) = number.parse::<f64>() else {
        return Err(format!("has the limit '{value}', which is not a number of 0 or more"));
    };
    let (factor, example) = match quantity {
        Quantity::Response(_) => {
            let factor = match unit {
                "us" => Some(0.001),
                "ms" => Some(1.0),
                "s" => Some(1000.0),
                _ => None,
            };
            (factor, "a time: 500ms, 1.5s or 800us")
        }
        Quantity::Failures => ((unit == "%").then_some(0.01), "a share in per cent: 1%"),
        Quantity::Goodput | Quantity::Achieved => {
            (["", "/s"].contains(&unit).then_some(1.0), "answers a second: 30 or 30/s")
        }
        Quantity::Ratio => (unit.is_empty().then_some(1.0), "a bare number: 1.1"),
    };
    factor
        .map(|factor| number * factor)
        .ok_or_else(|| format!("has the limit '{value}'; give it as {example}"))
}

/// Thresholds of what the experiment does not measure.
pub(super) fn problems(list: &mut Checks, experiment: &Experiment) {
    problems_of(list, &experiment.thresholds, experiment, 1);
}

/// Checks thresholds of a diff, in which every subject has a ratio, against what a run measured.
///
/// # Errors
/// The first that names what the run does not have.
pub fn check(thresholds: &[Threshold], experiment: &Experiment) -> Result<(), ExperimentError> {
    let mut list = Checks::default();
    problems_of(&mut list, thresholds, experiment, 0);
    list.first().map_or(Ok(()), |problem| Err(ExperimentError::Value { place: String::new(), problem }))
}

/// `baselines`: subjects at the front that have no ratio.
fn problems_of(list: &mut Checks, thresholds: &[Threshold], experiment: &Experiment, baselines: usize) {
    let labels: Vec<&str> = experiment.subjects.iter().map(|s| s.label.as_str()).collect();
    let loads: Vec<&str> = experiment.load.iter().map(|load| load.name.as_str()).collect();
    for (i, threshold) in thresholds.iter().enumerate() {
        let i = i.to_string();
        let path = ["thresholds", &i];
        let knows = |name: Option<&str>, known: &[&str]| name.is_none_or(|name| known.contains(&name));
        list.check(
            knows(threshold.load.as_deref(), &loads),
            &path,
            &format!("'{threshold}' names no load point of this experiment; there is: {}", loads.join(", ")),
        );
        let compared =
            if threshold.is_ratio() { labels.get(baselines..).unwrap_or_default() } else { &labels };
        list.check(
            knows(threshold.subject.as_deref(), compared),
            &path,
            &format!("'{threshold}' names none that it could be about; there is: {}", compared.join(", ")),
        );
        list.check(
            !threshold.is_ratio() || labels.len() > baselines,
            &path,
            &format!("'{threshold}' needs two platforms to compare; leave it out, or name two"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{parse, validate};

    fn read(text: &str) -> Threshold {
        text.parse().unwrap()
    }

    #[test]
    fn thresholds_are_read_with_their_units() {
        let cases = [
            ("p99<500ms", Quantity::Response("p99"), Operator::Below, 500.0),
            ("p99.9 <= 1.5s", Quantity::Response("p99_9"), Operator::AtMost, 1500.0),
            ("mean>250us", Quantity::Response("mean"), Operator::Above, 0.25),
            ("failures<1%", Quantity::Failures, Operator::Below, 0.01),
            ("goodput>=30/s", Quantity::Goodput, Operator::AtLeast, 30.0),
            ("ratio>1.1", Quantity::Ratio, Operator::Above, 1.1),
        ];
        for (text, quantity, operator, limit) in cases {
            let found = read(text);
            assert_eq!((found.quantity, found.operator), (quantity, operator), "{text}");
            assert!((found.limit - limit).abs() < 1e-12, "{text}: {}", found.limit);
        }
        let named = read("p95@closed-8:knative < 40ms");
        assert_eq!((named.load.as_deref(), named.subject.as_deref()), (Some("closed-8"), Some("knative")));
        assert_eq!(named.to_string(), "p95@closed-8:knative<40ms");
        assert!(named.covers("closed-8", "knative") && !named.covers("closed-8", "openfaas"));
        assert!(!named.covers("poisson", "knative"));
    }

    #[test]
    fn what_cannot_be_read_says_what_to_write() {
        let said: Vec<String> =
            ["p99", "p98<5ms", "p99<5", "p99<fast", "failures<0.01", "goodput>3ms", "ratio>10%", "p99@<5ms"]
                .map(|text| text.parse::<Threshold>().unwrap_err())
                .into();
        insta::assert_snapshot!(said.join("\n"), @"
        the threshold 'p99' has no < or >; write for example 'p99<500ms'
        the threshold 'p98<5ms' looks at 'p98', which is not one of p50, p90, p95, p99, p99.9, mean, max, failures, goodput, achieved, ratio
        the threshold 'p99<5' has the limit '5'; give it as a time: 500ms, 1.5s or 800us
        the threshold 'p99<fast' has the limit 'fast', which is not a number of 0 or more
        the threshold 'failures<0.01' has the limit '0.01'; give it as a share in per cent: 1%
        the threshold 'goodput>3ms' has the limit '3ms'; give it as answers a second: 30 or 30/s
        the threshold 'ratio>10%' has the limit '10%'; give it as a bare number: 1.1
        the threshold 'p99@<5ms' names nothing after '@' or ':'; write METRIC[@LOAD][:SUBJECT]
        ");
    }

    #[test]
    fn a_file_holds_them_as_text_and_says_where_one_is_wrong() {
        let experiment = parse("thresholds = ['p99 < 500ms', 'failures<1%']", "x.toml").unwrap();
        assert_eq!(experiment.thresholds, [read("p99<500ms"), read("failures<1%")]);
        let text = toml::to_string(&experiment).unwrap();
        assert!(text.contains("\"p99<500ms\""), "{text}");
        assert_eq!(parse(&text, "x.toml").unwrap().thresholds, experiment.thresholds);
        let wrong = parse("seed = 1\nthresholds = ['p99<5']", "x.toml").unwrap_err().to_string();
        assert!(wrong.starts_with("x.toml:2:") && wrong.contains("give it as a time"), "{wrong}");
    }

    #[test]
    fn a_threshold_on_what_is_not_measured_is_refused() {
        let refused = |text: &str| {
            let mut experiment = Experiment::default();
            experiment.thresholds = vec![read(text)];
            validate(&experiment).unwrap_err().to_string()
        };
        assert!(refused("p99@nowhere<5ms").contains("there is: closed-8, poisson"));
        assert!(refused("p99:nobody<5ms").contains("there is: knative, openfaas"));
        assert!(refused("ratio:knative>1").contains("there is: openfaas"), "the baseline is divided by");
        let mut alone = Experiment::default();
        alone.subjects.truncate(1);
        alone.thresholds = vec![read("ratio>1")];
        assert!(validate(&alone).unwrap_err().to_string().contains("two platforms"));
    }
}
