//! Verdicts in words that can be pasted: what was found, how sure it is, and on how many trials.

use super::summary::{Interval, Verdict};
use crate::experiment::Metric;

/// What a sentence is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub metric: Metric,
    pub baseline: &'a str,
    pub contender: &'a str,
    /// contender / baseline.
    pub ratio: Option<Interval>,
    /// contender - baseline, where there is no ratio.
    pub difference: Option<Interval>,
    pub p_value: Option<f64>,
    pub p_adjusted: Option<f64>,
    /// Comparisons that are corrected together.
    pub questions: usize,
    /// Level of the corrected test.
    pub alpha: f64,
    /// Looks at the data that the run's level is shared between.
    pub looks: u32,
    /// Trials that count, of the baseline and of the contender.
    pub trials: (usize, usize),
    /// Smallest effect that the run could have seen: ratio - 1, or a difference.
    pub smallest: Option<f64>,
    /// Whether the rank test could ever have shown a difference with so many trials.
    pub enough_trials: bool,
    /// Whether figures of the baseline, of the contender, are lower bounds only.
    pub bounded: [bool; 2],
    /// Shares of failed requests, if they differ clearly.
    pub failures: Option<FailureGap>,
}

/// Failure shares that differ clearly.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailureGap {
    /// Of the baseline, of the contender; means over trials.
    pub shares: [f64; 2],
    /// Whether the contender has clearly more failures other than time-outs, which response times
    /// leave out; or the baseline; or neither.
    pub contender_flattered: Option<bool>,
}

impl Facts<'_> {
    /// Whether the whole interval has the contender's figure above the baseline's, or below it.
    pub fn contender_above(&self) -> Option<bool> {
        self.ratio.and_then(|r| r.side_of(1.0)).or_else(|| self.difference.and_then(|d| d.side_of(0.0)))
    }
}

/// The verdict as one or more sentences.
pub(super) fn sentence(facts: &Facts, verdict: &Verdict) -> String {
    let mut text = match verdict {
        Verdict::Better { .. } => format!("{} ({}).", claim(facts, true), evidence(facts, true)),
        Verdict::CannotTell => cannot_tell(facts),
        Verdict::NoVerdict { reason } => {
            return format!("No verdict on the {}: {reason}.", noun(facts.metric));
        }
        Verdict::Limited { reason } => {
            return format!(
                "The {} cannot be compared: a limit of the platform ({reason}).",
                noun(facts.metric)
            );
        }
        Verdict::Described => match facts.ratio.or(facts.difference) {
            Some(_) => {
                format!("{} ({}; {}).", claim(facts, false), evidence(facts, false), standing(facts))
            }
            None => {
                return format!("The {} cannot be compared: too few trials yield one.", noun(facts.metric));
            }
        },
    };
    text.push_str(&bounds(facts));
    text.push_str(&failures(facts));
    text
}

/// "openfaas serves 12 % more correct answers per second than knative".
fn claim(facts: &Facts, judged: bool) -> String {
    let Facts { metric, baseline, contender, .. } = facts;
    let (more, size) = match (facts.ratio, facts.difference) {
        (Some(ratio), _) => (ratio.estimate > 1.0, percent(ratio.estimate - 1.0)),
        (None, Some(difference)) => (difference.estimate > 0.0, amount(*metric, difference.estimate)),
        (None, None) => return format!("nothing is known of the {}", noun(*metric)),
    };
    let nothing = size.starts_with("0.0") || size.starts_with("0 ") || size == "0";
    if nothing && !judged {
        return format!("{contender} and {baseline} have the same {}", noun(*metric));
    }
    match metric {
        Metric::GoodputRps => {
            let word = if more { "more" } else { "fewer" };
            format!("{contender} serves {size} {word} correct answers per second than {baseline}")
        }
        Metric::FailureShare => {
            let word = if more { "more" } else { "fewer" };
            format!("{contender} fails {size} {word} of its requests than {baseline}")
        }
        Metric::CapacityRps => {
            let word = if more { "higher" } else { "lower" };
            format!("{contender} holds the service level up to a rate {size} {word} than {baseline}")
        }
        Metric::PeakGoodputRps => {
            let word = if more { "more" } else { "fewer" };
            format!(
                "{contender} serves {size} {word} correct answers per second than {baseline}, each at the number of connections that suits it best"
            )
        }
        Metric::IdleLifeS => {
            let word = if more { "longer" } else { "shorter" };
            format!("{contender} keeps an idle instance {size} {word} than {baseline}")
        }
        Metric::TimeToScaleS => {
            let word = if more { "longer" } else { "shorter" };
            format!("{contender} takes {size} {word} than {baseline} until there are replicas enough")
        }
        Metric::ColdStartMs
        | Metric::ResponseP50Ms
        | Metric::ResponseP95Ms
        | Metric::ResponseP99Ms
        | Metric::BodyMsPerMib => {
            let word = if more { "longer" } else { "shorter" };
            format!("{contender} has a {size} {word} {} than {baseline}", noun(*metric))
        }
    }
}

/// "ratio 1.12, 95 % interval 1.08 to 1.17, exact rank test p = 0.008, n = 5 + 5 trials".
fn evidence(facts: &Facts, judged: bool) -> String {
    let mut parts = Vec::new();
    let sure = |confidence: f64| format!("{} % interval", decimals_of_confidence(confidence));
    if let Some(Interval { estimate, low, high, confidence }) = facts.ratio {
        let near_one = [estimate, low, high].iter().any(|v| (v - 1.0).abs() < 0.01);
        let digits = if near_one { 3 } else { 2 };
        let sure = sure(confidence);
        parts.push(format!("ratio {estimate:.digits$}, {sure} {low:.digits$} to {high:.digits$}"));
    } else if let Some(Interval { low, high, confidence, .. }) = facts.difference {
        let scale = if facts.metric == Metric::FailureShare { 100.0 } else { 1.0 };
        let sure = sure(confidence);
        parts.push(format!("{sure} {} to {}", decimals(scale * low), decimals(scale * high)));
    }
    if let Some(p) = facts.p_value {
        let family = if judged { "questions" } else { "secondary comparisons" };
        let corrected = match facts.p_adjusted {
            Some(adjusted) if facts.questions > 1 => {
                format!(
                    ", p {} after Holm's correction for {} {family}",
                    probability(adjusted),
                    facts.questions
                )
            }
            _ => String::new(),
        };
        parts.push(format!("exact rank test p {}{corrected}", probability(p)));
    }
    parts.push(format!("n = {} + {} trials", facts.trials.0, facts.trials.1));
    if facts.looks > 1 {
        let level = 100.0 * facts.alpha;
        parts.push(format!("tested at {level:.1} %: {} looks share 5 %", facts.looks));
    }
    parts.join(", ")
}

/// "95", "98.3".
fn decimals_of_confidence(confidence: f64) -> String {
    let text = format!("{:.1}", 100.0 * confidence);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// What a metric that was not named before the run may be called: never a verdict, and no more than
/// a hint even where interval and corrected test agree.
fn standing(facts: &Facts) -> &'static str {
    let apart = facts.contender_above().is_some() && facts.p_adjusted.is_some_and(|p| p < facts.alpha);
    if apart { "suggestive, not judged" } else { "described, not judged" }
}

fn cannot_tell(facts: &Facts) -> String {
    let Facts { metric, baseline, contender, .. } = facts;
    let found = format!("Cannot tell: {contender} and {baseline} do not clearly differ in {}", noun(*metric));
    let power = match facts.smallest {
        _ if !facts.enough_trials => {
            " So few trials could never have shown one: use more (--trials).".to_owned()
        }
        Some(effect) if facts.ratio.is_some() => {
            format!(" This run could have seen a difference of {} or more.", percent(effect))
        }
        Some(effect) => {
            let per_second = if matches!(metric, Metric::GoodputRps | Metric::PeakGoodputRps) {
                " correct answers per second"
            } else {
                ""
            };
            format!(
                " This run could have seen a difference of {}{per_second} or more.",
                amount(*metric, effect)
            )
        }
        None => String::new(),
    };
    format!("{found} ({}).{power}", evidence(facts, true))
}

fn bounds(facts: &Facts) -> String {
    let who = match facts.bounded {
        [false, false] => return String::new(),
        [true, false] => facts.baseline.to_owned(),
        [false, true] => facts.contender.to_owned(),
        [true, true] => format!("{} and {}", facts.baseline, facts.contender),
    };
    let why = match facts.metric {
        Metric::IdleLifeS | Metric::TimeToScaleS => "Waits that ended first",
        _ => "Time-outs",
    };
    format!(" {why} make figures of {who} lower bounds: the true ones are longer.")
}

fn failures(facts: &Facts) -> String {
    let Some(gap) = facts.failures.filter(|_| facts.metric != Metric::FailureShare) else {
        return String::new();
    };
    let Facts { baseline, contender, .. } = facts;
    let [of_baseline, of_contender] = gap.shares.map(percent);
    let differ = format!(
        " Failures differ: {baseline} failed {of_baseline} of its requests, {contender} {of_contender}."
    );
    let flattered = match gap.contender_flattered {
        Some(true) => contender,
        Some(false) => baseline,
        None => return differ,
    };
    if facts.metric == Metric::GoodputRps {
        return differ;
    }
    format!(
        "{differ} Requests that failed before their time-out have no part in response times, which flatters {flattered}."
    )
}

fn noun(metric: Metric) -> &'static str {
    match metric {
        Metric::GoodputRps => "goodput",
        Metric::ResponseP50Ms => "median response time",
        Metric::ResponseP95Ms => "p95 response time",
        Metric::ResponseP99Ms => "p99 response time",
        Metric::FailureShare => "share of failed requests",
        Metric::CapacityRps => "capacity",
        Metric::PeakGoodputRps => "highest goodput",
        Metric::BodyMsPerMib => "response time per MiB of request body",
        Metric::ColdStartMs => "cold start",
        Metric::IdleLifeS => "life of an idle instance",
        Metric::TimeToScaleS => "time to scale",
    }
}

/// "= 0.008", or "< 0.001".
fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("= {p:.3}") }
}

/// A difference with its unit; answers per second go without, since sentences say it.
fn amount(metric: Metric, difference: f64) -> String {
    match metric {
        Metric::GoodputRps | Metric::PeakGoodputRps => decimals(difference.abs()),
        Metric::CapacityRps => format!("{} requests/s", decimals(difference.abs())),
        Metric::FailureShare => format!("{} percentage points", decimals(100.0 * difference.abs())),
        Metric::ColdStartMs
        | Metric::ResponseP50Ms
        | Metric::ResponseP95Ms
        | Metric::ResponseP99Ms
        | Metric::BodyMsPerMib => {
            format!("{} ms", decimals(difference.abs()))
        }
        Metric::IdleLifeS | Metric::TimeToScaleS => format!("{} s", decimals(difference.abs())),
    }
}

/// A share as a percentage: whole from 10 % on, with a decimal below. Its sign is said in words.
fn percent(share: f64) -> String {
    format!("{} %", decimals(100.0 * share.abs()))
}

fn decimals(value: f64) -> String {
    if value.abs() >= 9.95 || value == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
