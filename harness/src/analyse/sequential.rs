//! Whether a run may end before its last trial: looked at after each block of trials that the rule
//! names.

use super::summary::Summary;
use crate::experiment::Experiment;

/// Says why no more trials are needed; none: they are. `experiment` is the whole plan, `summary` what
/// its complete trials yielded.
pub fn enough(experiment: &Experiment, summary: &Summary) -> Option<String> {
    let rule = experiment.stop_early?;
    let primary: Vec<_> = summary.comparisons.iter().filter(|c| c.primary).collect();
    let half_width = |ratio: &super::summary::Interval| (ratio.high - ratio.low) / 2.0 / ratio.estimate;
    let widest =
        primary.iter().map(|c| c.ratio.as_ref().map_or(f64::INFINITY, half_width)).reduce(f64::max)?;
    (widest <= rule.half_width).then(|| {
        format!(
            "the intervals of all {} ratios reach at most {:.1} % to either side, and {:.1} % was asked for.",
            primary.len(),
            100.0 * widest,
            100.0 * rule.half_width
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analyse::{
            RunFacts,
            testing::{CellBuilder, experiment},
        },
        experiment::{Cell, StopRule},
        store::CellData,
    };

    #[test]
    fn a_run_is_enough_once_its_widest_interval_is_narrow() {
        let cells: Vec<CellData> = (1..=5)
            .flat_map(|trial| ["knative", "openfaas"].map(|subject| (subject, trial)))
            .map(|(subject, trial)| {
                let took_ns = 20_000_000 + u64::from(trial % 3) * 500_000;
                CellBuilder::open(20.0).of(subject, trial).taking(move |_| took_ns).build()
            })
            .collect();
        let plan: Vec<Cell> = cells.iter().map(|c| c.meta.cell.clone()).collect();
        let mut e = experiment(5, vec![plan[0].load.clone()]);
        let cells = cells.into_iter().map(|data| crate::analyse::cell(data).summary).collect();
        let summary = crate::analyse::run(&e, &plan, cells, RunFacts::default());
        let mut asked = |half_width| {
            e.stop_early = Some(StopRule { half_width, ..StopRule::default() });
            enough(&e, &summary)
        };
        assert!(asked(0.2).is_some_and(|why| why.contains("20.0 % was asked for")));
        assert_eq!(asked(0.0001), None);
        e.stop_early = None;
        assert_eq!(enough(&e, &summary), None);
    }
}
