//! What a plan can see: the smallest effect that its trials will probably show, said before the run.
//!
//! It depends on how much trials will vary, which nobody knows beforehand: one pilot has no scatter.
//! It is therefore stated for an earlier run's scatter where one was named, else for three levels.
//! The formula is `effect::foreseen_difference`, on logarithms, at the level that Holm's correction
//! leaves for the hardest of the run's questions and that a stop rule leaves for each look.

use super::{
    sequential,
    side::Side,
    statistics::{bootstrap::mean, effect},
    summary::Summary,
};
use crate::experiment::{ExpectedNoise, Experiment, Metric};

/// Coefficients of variation between trials that are assumed where no earlier run is named.
const ASSUMED: [f64; 3] = [0.01, 0.02, 0.05];

/// What a plan can see at one load point.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreseen {
    /// Name of the load point.
    pub load: String,
    /// Its primary metric.
    pub metric: Metric,
    /// Primary comparisons of the run.
    pub questions: usize,
    /// Trials a side.
    pub trials: usize,
    /// Fewest trials a side with which a difference can be shown at all.
    pub fewest: usize,
    /// For each assumed coefficient of variation (0..1) the smallest |ratio - 1|; none if the
    /// trials can never show one.
    pub effects: Vec<(f64, Option<f64>)>,
    /// The run whose scatter is assumed; none: assumed levels.
    pub from: Option<String>,
}

/// What an experiment can see, by load point; nothing where nothing is compared. Shares of failures
/// are compared by difference and have no relative effect.
pub fn foresee(experiment: &Experiment) -> Vec<Foreseen> {
    let questions = experiment.load.len() * experiment.subjects.len().saturating_sub(1);
    if questions == 0 {
        return Vec::new();
    }
    let alpha = sequential::level(experiment) / questions as f64;
    let trials = experiment.trials as usize;
    let ratios = experiment.load.iter().filter(|load| load.primary_metric != Metric::FailureShare);
    ratios
        .map(|load| {
            let known = experiment.expected_noise.iter().find(|noise| noise.load == load.name);
            let assumed = known.map_or_else(|| ASSUMED.to_vec(), |noise| vec![noise.variation]);
            let effect = |variation: f64| {
                let sd = log_sd(variation);
                effect::foreseen_difference(sd, trials, trials, alpha).map(f64::exp_m1)
            };
            Foreseen {
                load: load.name.clone(),
                metric: load.primary_metric,
                questions,
                trials,
                fewest: effect::fewest_trials(alpha),
                effects: assumed.into_iter().map(|variation| (variation, effect(variation))).collect(),
                from: known.map(|noise| noise.from.clone()),
            }
        })
        .collect()
}

/// The same in words, a line or two for a plan; nothing where nothing is compared.
pub fn lines(experiment: &Experiment) -> Vec<String> {
    let foreseen = foresee(experiment);
    let Some(first) = foreseen.first() else { return Vec::new() };
    if first.effects.iter().all(|(_, effect)| effect.is_none()) {
        return vec![format!(
            "it cannot show any difference: with {} trials a side and {} the exact rank test never falls below its \
             level; use --trials {} or more",
            first.trials,
            questions(first.questions),
            first.fewest
        )];
    }
    let mut lines = vec![format!(
        "it can see (in 4 of 5 cases, {} trials a side, {}):",
        first.trials,
        questions(first.questions)
    )];
    let known = foreseen.iter().filter(|f| f.from.is_some()).map(|f| {
        format!(
            "  {}: {} (trials varied so in {})",
            f.load,
            effects(f),
            f.from.as_deref().unwrap_or_default()
        )
    });
    lines.extend(known);
    if let Some(assumed) = foreseen.iter().find(|f| f.from.is_none()) {
        let hint = "--noise-from RUN takes it from an earlier run";
        let loads: Vec<&str> =
            foreseen.iter().filter(|f| f.from.is_none()).map(|f| f.load.as_str()).collect();
        lines.push(format!("  {}: {} ({hint})", loads.join(", "), effects(assumed)));
    }
    lines
}

/// "differences of about 2.9 % if trials vary by 1 %, 6.0 % if by 2 %".
pub fn effects(foreseen: &Foreseen) -> String {
    let text = |&(variation, effect): &(f64, Option<f64>)| {
        let percent = |share: f64| {
            let text = format!("{:.1}", 100.0 * share);
            format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
        };
        effect.map_or_else(
            || format!("none if they vary by {}", percent(variation)),
            |effect| format!("{} if trials vary by {}", percent(effect), percent(variation)),
        )
    };
    let all: Vec<String> = foreseen.effects.iter().map(text).collect();
    format!("differences of about {}", all.join(", "))
}

fn questions(count: usize) -> String {
    if count == 1 { "1 question".into() } else { format!("{count} questions") }
}

/// How much the trials of a run varied, by load point, pooled over its subjects; for plans of
/// later runs. Load points with fewer than two VALID trials of every subject are left out.
pub fn noise_of(experiment: &Experiment, summary: &Summary) -> Vec<ExpectedNoise> {
    let of_load = |load: &crate::experiment::LoadPoint| {
        let samples: Vec<Vec<f64>> = experiment
            .subjects
            .iter()
            .map(|subject| {
                let side = Side::new(&subject.label, experiment.trials, load, &summary.cells);
                let values = side.trials(load.primary_metric).into_iter().filter(|t| t.valid);
                values.filter_map(|t| t.value).filter(|v| *v > 0.0).map(f64::ln).collect()
            })
            .filter(|values: &Vec<f64>| values.len() > 1)
            .collect();
        let sd = pooled_sd(&samples)?;
        let variation = (sd * sd).exp_m1().sqrt();
        Some(ExpectedNoise { load: load.name.clone(), variation, from: summary.run_id.clone() })
    };
    experiment.load.iter().filter_map(of_load).collect()
}

/// The standard deviation within samples, pooled; none without degrees of freedom.
fn pooled_sd(samples: &[Vec<f64>]) -> Option<f64> {
    let degrees: usize = samples.iter().map(|values| values.len() - 1).sum();
    let squares: f64 = samples
        .iter()
        .map(|values| {
            let centre = mean(values);
            values.iter().map(|v| (v - centre).powi(2)).sum::<f64>()
        })
        .sum();
    (degrees > 0).then(|| (squares / degrees as f64).sqrt())
}

/// The standard deviation of logarithms of log-normal values with this coefficient of variation.
fn log_sd(variation: f64) -> f64 {
    (variation * variation).ln_1p().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_it_can_see() {
        let said = |trials| lines(&Experiment { trials, ..Experiment::default() }).join("\n");
        insta::assert_snapshot!(said(5), @"
        it can see (in 4 of 5 cases, 5 trials a side, 2 questions):
          closed-8, poisson: differences of about 2.6 % if trials vary by 1 %, 5.2 % if trials vary by 2 %, 13.6 % if trials vary by 5 % (--noise-from RUN takes it from an earlier run)
        ");
        insta::assert_snapshot!(
            said(4),
            @"it cannot show any difference: with 4 trials a side and 2 questions the exact rank test never falls below its level; use --trials 5 or more"
        );
        let mut alone = Experiment::default();
        alone.subjects.truncate(1);
        assert!(lines(&alone).is_empty());
    }

    #[test]
    fn a_known_scatter_replaces_the_assumed_ones() {
        let noise = ExpectedNoise { load: "closed-8".into(), variation: 0.031, from: "friday".into() };
        let experiment = Experiment { expected_noise: vec![noise], ..Experiment::default() };
        insta::assert_snapshot!(lines(&experiment).join("\n"), @"
        it can see (in 4 of 5 cases, 5 trials a side, 2 questions):
          closed-8: differences of about 8.2 % if trials vary by 3.1 % (trials varied so in friday)
          poisson: differences of about 2.6 % if trials vary by 1 %, 5.2 % if trials vary by 2 %, 13.6 % if trials vary by 5 % (--noise-from RUN takes it from an earlier run)
        ");
    }

    #[test]
    fn more_trials_see_less_and_more_questions_see_more() {
        let at = |trials, loads| {
            let mut experiment = Experiment { trials, ..Experiment::default() };
            experiment.load.truncate(loads);
            foresee(&experiment)[0].effects[1].1.unwrap()
        };
        assert!(at(10, 2) < at(5, 2) && at(5, 1) < at(5, 2));
    }
}
