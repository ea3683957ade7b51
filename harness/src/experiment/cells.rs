//! From an experiment to cells: which interval is measured when, on which deployment.
//!
//! Trials are blocks. Inside a block the subjects come in a random order, and the load points in
//! another one that all subjects of the block share; both follow from the experiment's seed
//! (randomised multiple interleaved trials: Abedi and Brecht, ICPE 2017).
//!
//! Where deployments are reused, only one may be alive at a time (two would share the machine), so
//! all trials of a subject come in one go: the subjects are the blocks, in a random order, and a slow
//! drift of the machine strikes one subject more than another. The report says so.

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{Cell, Experiment};

/// The cells of an experiment in the order in which they run.
pub fn expand(experiment: &Experiment) -> Vec<Cell> {
    let mut cells = interleaved(experiment);
    if experiment.reuse_deployments {
        let mut order = StdRng::seed_from_u64(mix(experiment.seed, 0, 0));
        let mut subjects: Vec<_> = experiment.subjects.iter().map(|s| s.label.clone()).collect();
        subjects.shuffle(&mut order);
        // A stable sort: inside a subject, trials and load points stay as they were.
        cells.sort_by_key(|cell| subjects.iter().position(|label| *label == cell.subject));
        for (cell, order) in cells.iter_mut().zip(0..) {
            cell.order = order;
        }
    }
    cells
}

fn interleaved(experiment: &Experiment) -> Vec<Cell> {
    let mut cells = Vec::new();
    for trial in 1..=experiment.trials {
        // A trial's order does not depend on how many trials there are: more can be added later.
        let mut order = StdRng::seed_from_u64(mix(experiment.seed, u64::from(trial), 0));
        let mut subjects: Vec<_> = experiment.subjects.iter().collect();
        subjects.shuffle(&mut order);
        let mut loads: Vec<_> = experiment.load.iter().enumerate().collect();
        loads.shuffle(&mut order);
        for subject in subjects {
            for &(index, load) in &loads {
                cells.push(Cell {
                    id: format!("t{trial:02}-{}-{}", subject.label, load.name),
                    order: cells.len() as u32,
                    subject: subject.label.clone(),
                    platform: subject.platform,
                    trial,
                    load: load.clone(),
                    seed: mix(experiment.seed, u64::from(trial), 1 + index as u64),
                });
            }
        }
    }
    cells
}

/// Groups cells that share a deployment: next to each other, the same subject and, unless
/// deployments are reused, the same trial.
pub fn deployments(cells: &[Cell], reused: bool) -> impl Iterator<Item = &[Cell]> {
    cells.chunk_by(move |a, b| (reused || a.trial == b.trial) && a.subject == b.subject)
}

/// One seed out of three numbers (SplitMix64's finaliser: Steele, Lea and Flood, OOPSLA 2014).
fn mix(seed: u64, trial: u64, stream: u64) -> u64 {
    let mut z = seed
        .wrapping_add(trial.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn order_of(seed: u64, trials: u32) -> Vec<String> {
        expand(&Experiment { seed, trials, ..Experiment::default() }).into_iter().map(|c| c.id).collect()
    }

    #[test]
    fn every_subject_meets_every_load_point_once_a_trial() {
        let cells = expand(&Experiment::default());
        assert_eq!(cells.len(), 2 * 2 * 5);
        let ids: BTreeSet<_> = cells.iter().map(|c| &c.id).collect();
        assert_eq!(ids.len(), cells.len());
        assert!(cells.iter().enumerate().all(|(i, c)| c.order as usize == i));
    }

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_seed_another() {
        assert_eq!(order_of(1, 5), order_of(1, 5));
        assert_ne!(order_of(1, 5), order_of(2, 5));
    }

    #[test]
    fn more_trials_leave_the_first_ones_as_they_were() {
        assert_eq!(order_of(7, 5), order_of(7, 9)[..20]);
    }

    #[test]
    fn subjects_of_a_trial_get_the_same_seed_and_trials_different_ones() {
        let mut seeds: BTreeMap<(u32, String), BTreeSet<u64>> = BTreeMap::new();
        for cell in expand(&Experiment::default()) {
            seeds.entry((cell.trial, cell.load.name)).or_default().insert(cell.seed);
        }
        assert!(seeds.values().all(|s| s.len() == 1));
        assert_eq!(seeds.values().flatten().collect::<BTreeSet<_>>().len(), 10);
    }

    #[test]
    fn over_many_seeds_each_subject_comes_first_about_as_often() {
        let first = (0..400).filter(|&seed| order_of(seed, 1)[0].starts_with("t01-knative")).count();
        assert!((150..250).contains(&first), "{first} of 400");
    }

    #[test]
    fn a_deployment_is_the_cells_of_one_subject_in_one_trial() {
        let cells = expand(&Experiment::default());
        let groups: Vec<_> = deployments(&cells, false).collect();
        assert_eq!(groups.len(), 10);
        assert!(groups.iter().all(|g| g.len() == 2));
    }

    #[test]
    fn variants_take_part_in_the_interleaving_of_every_trial() {
        let text = "[[variants]]\nname = 'a'\n[[variants]]\nname = 'b'";
        let e = crate::experiment::parse(text, "x").unwrap();
        let cells = expand(&e);
        assert_eq!(cells.len(), 2 * 2 * 2 * 5);
        let orders: BTreeSet<Vec<&str>> = deployments(&cells, false)
            .collect::<Vec<_>>()
            .chunks(4)
            .map(|block| block.iter().map(|cells| cells[0].subject.as_str()).collect())
            .collect();
        assert!(orders.len() > 1, "each trial has an order of its own: {orders:?}");
        assert!(orders.iter().all(|order| order.iter().collect::<BTreeSet<_>>().len() == 4), "{orders:?}");
    }

    #[test]
    fn a_reused_deployment_holds_all_trials_of_its_subject_and_the_same_cells_as_ever() {
        let e = Experiment { reuse_deployments: true, ..Experiment::default() };
        let cells = expand(&e);
        let groups: Vec<_> = deployments(&cells, true).collect();
        assert_eq!(groups.len(), 2);
        assert!(groups.iter().all(|group| group.is_sorted_by_key(|cell| cell.trial) && group.len() == 10));
        let ids = |cells: &[Cell]| cells.iter().map(|c| (c.id.clone(), c.seed)).collect::<BTreeSet<_>>();
        assert_eq!(ids(&cells), ids(&expand(&Experiment::default())));
        assert!(cells.iter().enumerate().all(|(i, c)| c.order as usize == i));
        let first = |seed| expand(&Experiment { seed, ..e.clone() })[0].platform;
        assert!((0..20).any(|seed| first(seed) != first(0)), "the order of the subjects is drawn");
    }
}
