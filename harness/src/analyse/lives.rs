//! From a time line to the lives of its replicas, and to where their starts spend their time.

use std::collections::BTreeMap;

use crate::collect::timeline::{FirstAnswers, Phase, Source, Timeline};

/// When a phase began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct At {
    /// Since the deploy call, ms.
    pub ms: f64,
    /// Who says so.
    pub source: Source,
}

/// What kind of start it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// The first replica to become ready after the deploy call, up to the deployment's first answer.
    Deployment,
    /// A further replica that was requested before any load: its first answer waits for load, so
    /// its start ends when it is ready.
    Beside,
    /// A replica that was started for a single request after zero replicas, from that request's intended
    /// send to its answer: a proved cold start.
    FromZero,
    /// A replica that was requested while load ran: a cold start, or scaling up.
    UnderLoad,
}

impl Start {
    /// In words, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Beside => "further replica",
            Self::FromZero => "cold start from zero",
            Self::UnderLoad => "start under load",
        }
    }
}

/// The life of one replica.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaLife {
    /// Its pod.
    pub replica: String,
    /// Its node, once it was scheduled.
    pub node: Option<String>,
    /// What kind of start it had.
    pub start: Start,
    /// When each of its phases began, from the best source of each: what this machine's clock saw
    /// goes before what the cluster's clock says, since both ends of a stage should be on one clock.
    pub phases: BTreeMap<Phase, At>,
    /// How often its container was started anew.
    pub restarts: u32,
    /// What went wrong on the way, one line each.
    pub troubles: Vec<String>,
}

/// A part of a start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// From the begin of this phase.
    pub from: Phase,
    /// To the begin of this one.
    pub to: Phase,
    /// How long, ms.
    pub ms: f64,
    /// How finely its ends are known, ms (the coarser of the two).
    pub resolution_ms: f64,
}

impl ReplicaLife {
    /// When a phase began, ms since the deploy call.
    pub fn at_ms(&self, phase: Phase) -> Option<f64> {
        self.phases.get(&phase).map(|at| at.ms)
    }

    /// The stages of its start, in order; they add up to the time from the first to the last known
    /// phase. A phase that nobody told of is left out, and the stages on its two sides are one. One
    /// that was heard of out of order (two watches are not in step) counts as begun when the one
    /// before it did.
    pub fn stages(&self) -> Vec<Stage> {
        let known = Phase::START.into_iter().filter_map(|phase| Some((phase, *self.phases.get(&phase)?)));
        let mut out = Vec::new();
        let mut last: Option<(Phase, At)> = None;
        for (phase, at) in known {
            let mut at = at;
            if let Some((from, before)) = last {
                at.ms = at.ms.max(before.ms);
                let resolution_ms = before.source.resolution_ms().max(at.source.resolution_ms());
                out.push(Stage { from, to: phase, ms: at.ms - before.ms, resolution_ms });
            }
            last = Some((phase, at));
        }
        out
    }

    /// Whether an event is worth telling: pulling is none, nor is a probe that fails while the replica
    /// starts or ends; and each is told once.
    fn is_trouble(&self, detail: &str) -> bool {
        let serves =
            self.phases.contains_key(&Phase::Ready) && !self.phases.contains_key(&Phase::Terminating);
        let normal = detail.starts_with("Pulling: ") || detail.starts_with("Unhealthy: ") && !serves;
        !normal && !self.troubles.iter().any(|told| told == detail)
    }

    /// From the first to the last known phase of its start, ms.
    pub fn start_ms(&self) -> f64 {
        self.stages().iter().map(|stage| stage.ms).sum()
    }
}

/// The replicas of a time line, in the order in which they were requested.
pub fn phases(timeline: &Timeline) -> Vec<ReplicaLife> {
    let moments = &timeline.moments;
    let mut lives: BTreeMap<&str, ReplicaLife> = BTreeMap::new();
    for moment in moments {
        let Some(replica) = moment.replica.as_deref() else { continue };
        let at = At { ms: moment.at_ns as f64 / 1e6, source: moment.source };
        let life = lives.entry(replica).or_insert_with(|| ReplicaLife {
            replica: replica.to_owned(),
            node: None,
            start: Start::UnderLoad,
            phases: BTreeMap::new(),
            restarts: 0,
            troubles: Vec::new(),
        });
        match moment.phase {
            Phase::Event => {
                if moment.source == Source::Watch && life.is_trouble(&moment.detail) {
                    life.troubles.push(moment.detail.clone());
                }
                continue;
            }
            Phase::Restarted => {
                life.restarts += 1;
                life.troubles.push(format!("restarted ({})", moment.detail));
            }
            Phase::Condition | Phase::Called | Phase::Load => continue,
            _ => {}
        }
        if moment.phase == Phase::Scheduled && !moment.detail.is_empty() {
            life.node = Some(moment.detail.clone());
        }
        let known = life.phases.get(&moment.phase);
        // Of one source, the first counts.
        if known.is_none_or(|known| moment.source < known.source) {
            life.phases.insert(moment.phase, at);
        }
    }
    // Records name instances that may be no pods of this time line.
    let mut lives: Vec<ReplicaLife> =
        lives.into_values().filter(|life| life.phases.contains_key(&Phase::Requested)).collect();
    lives.sort_by(|a, b| order(a).total_cmp(&order(b)));
    settle_starts(timeline, &mut lives);
    lives
}

fn order(life: &ReplicaLife) -> f64 {
    life.at_ms(Phase::Requested).unwrap_or(f64::INFINITY)
}

/// Says what kind of start each was, and gives the deployment's first answer to its first replica.
fn settle_starts(timeline: &Timeline, lives: &mut [ReplicaLife]) {
    let of_all = |phase: Phase| {
        let mut found = timeline.moments.iter().filter(move |m| m.replica.is_none() && m.phase == phase);
        found.next().map(|m| At { ms: m.at_ns as f64 / 1e6, source: m.source })
    };
    let loads: Vec<f64> =
        timeline.moments.iter().filter(|m| m.phase == Phase::Load).map(|m| m.at_ns as f64 / 1e6).collect();
    let answered = of_all(Phase::FirstAnswer);
    let load_begins = loads.iter().copied().fold(f64::INFINITY, f64::min);
    let deployed = answered.map_or(load_begins, |at| at.ms.min(load_begins));
    let first = lives
        .iter()
        .enumerate()
        .filter(|(_, life)| order(life) <= deployed)
        .min_by(|a, b| ready(a.1).total_cmp(&ready(b.1)))
        .map(|(i, _)| i);
    for (i, life) in lives.iter_mut().enumerate() {
        if Some(i) == first {
            life.start = Start::Deployment;
            life.phases.insert(Phase::Called, At { ms: 0.0, source: Source::Answer });
            match answered {
                Some(at) => _ = life.phases.insert(Phase::FirstAnswer, at),
                None => _ = life.phases.remove(&Phase::FirstAnswer),
            }
            continue;
        }
        if order(life) < load_begins {
            life.start = Start::Beside;
        }
        // An answer counts as part of the start only if load was there to be answered: none began
        // between ready and the answer.
        let waited = life
            .at_ms(Phase::FirstAnswer)
            .is_some_and(|answer| loads.iter().any(|load| ready(life) < *load && *load <= answer));
        if life.start == Start::Beside || waited {
            life.phases.remove(&Phase::FirstAnswer);
        }
    }
}

fn ready(life: &ReplicaLife) -> f64 {
    life.at_ms(Phase::Ready).unwrap_or(f64::INFINITY)
}

/// One stage of one kind of start, over replicas and trials.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSummary {
    /// From the begin of this phase.
    pub from: Phase,
    /// To the begin of this one.
    pub to: Phase,
    /// Median, ms.
    pub median_ms: f64,
    /// Shortest, ms.
    pub low_ms: f64,
    /// Longest, ms.
    pub high_ms: f64,
    /// Starts that had it.
    pub starts: usize,
}

/// All stages of one kind of start.
#[derive(Debug, Clone, PartialEq)]
pub struct StartSummary {
    /// The kind.
    pub start: Start,
    /// Starts of this kind that came to be ready.
    pub starts: usize,
    /// Median of the whole start, ms; the stages' medians need not add up to it.
    pub median_ms: f64,
    /// In order.
    pub stages: Vec<StageSummary>,
}

/// Where starts spend their time, for each kind of start that there was. Replicas that never became
/// ready are left out: their starts have no end.
pub fn starts<'a>(lives: impl IntoIterator<Item = &'a ReplicaLife>) -> Vec<StartSummary> {
    let mut kinds: BTreeMap<Start, Vec<&ReplicaLife>> = BTreeMap::new();
    for life in lives.into_iter().filter(|life| life.phases.contains_key(&Phase::Ready)) {
        kinds.entry(life.start).or_default().push(life);
    }
    kinds
        .into_iter()
        .map(|(start, lives)| {
            let mut stages: BTreeMap<(Phase, Phase), Vec<f64>> = BTreeMap::new();
            for stage in lives.iter().flat_map(|life| life.stages()) {
                stages.entry((stage.from, stage.to)).or_default().push(stage.ms);
            }
            let stages = stages.into_iter().map(|((from, to), mut ms)| {
                let median_ms = median(&mut ms);
                StageSummary {
                    from,
                    to,
                    median_ms,
                    low_ms: ms[0],
                    high_ms: ms[ms.len() - 1],
                    starts: ms.len(),
                }
            });
            let mut whole: Vec<f64> = lives.iter().map(|life| life.start_ms()).collect();
            StartSummary {
                start,
                starts: lives.len(),
                median_ms: median(&mut whole),
                stages: stages.collect(),
            }
        })
        .collect()
}

/// The median of at least one value; sorts them.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// A time line with the first answers of its cells, where the recorder was not told of them.
#[must_use]
pub fn with_answers(timeline: &Timeline, answers: &FirstAnswers) -> Timeline {
    let mut timeline = timeline.clone();
    if !timeline.moments.iter().any(|m| m.phase == Phase::Load) {
        timeline.add(answers);
    }
    timeline
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::timeline::Moment;

    fn moment(ms: i64, replica: &str, phase: Phase, source: Source) -> Moment {
        let replica = (!replica.is_empty()).then(|| replica.to_owned());
        Moment { at_ns: ms * 1_000_000, replica, phase, detail: String::new(), source }
    }

    fn timeline(moments: Vec<Moment>) -> Timeline {
        Timeline { moments, ..Timeline::default() }
    }

    /// A deployment of two pinned replicas, one more under load, and one that only later load met.
    fn example() -> Timeline {
        use Phase::{FirstAnswer, Load, Pulled, Ready, Requested, Scheduled, Started};
        let watch = Source::Watch;
        let start = |pod: &'static str, at: i64| {
            let steps = [(Requested, 0), (Scheduled, 10), (Pulled, 40), (Started, 300), (Ready, 900)];
            steps.map(|(phase, after)| moment(at + after, pod, phase, watch))
        };
        let mut moments: Vec<Moment> =
            [start("a", 100), start("b", 110), start("c", 6000), start("d", 10_000)]
                .into_iter()
                .flatten()
                .collect();
        moments.push(moment(1200, "", FirstAnswer, Source::Answer));
        moments.push(moment(5000, "", Load, Source::Answer));
        moments.push(moment(5010, "b", FirstAnswer, Source::Answer));
        moments.push(moment(6950, "c", FirstAnswer, Source::Answer));
        moments.push(moment(20_000, "", Load, Source::Answer));
        moments.push(moment(20_030, "d", FirstAnswer, Source::Answer));
        moments.push(moment(-300, "a", Ready, Source::Status));
        timeline(moments)
    }

    #[test]
    fn a_deployment_spends_its_time_from_the_call_to_the_first_answer() {
        let lives = phases(&example());
        let kinds: Vec<_> = lives.iter().map(|life| (life.replica.as_str(), life.start)).collect();
        let expected = [
            ("a", Start::Deployment),
            ("b", Start::Beside),
            ("c", Start::UnderLoad),
            ("d", Start::UnderLoad),
        ];
        assert_eq!(kinds, expected);
        let ms: Vec<f64> = lives[0].stages().iter().map(|stage| stage.ms).collect();
        assert_eq!(ms, [100.0, 10.0, 30.0, 260.0, 600.0, 200.0]);
        assert!((lives[0].start_ms() - 1200.0).abs() < 1e-9);
    }

    #[test]
    fn an_answer_that_waited_for_load_is_no_part_of_a_start() {
        let lives = phases(&example());
        let last = |i: usize| lives[i].stages().last().map(|stage| (stage.to, stage.ms));
        assert_eq!(last(1), Some((Phase::Ready, 600.0)));
        assert_eq!(last(2), Some((Phase::FirstAnswer, 50.0)));
        assert_eq!(last(3), Some((Phase::Ready, 600.0)), "its answer came with the next cell");
    }

    #[test]
    fn medians_are_taken_over_starts_of_one_kind() {
        let lives = phases(&example());
        let found = starts(&lives);
        let kinds: Vec<_> = found.iter().map(|s| (s.start, s.starts, s.median_ms)).collect();
        let expected =
            [(Start::Deployment, 1, 1200.0), (Start::Beside, 1, 900.0), (Start::UnderLoad, 2, 925.0)];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn probes_that_fail_while_a_replica_starts_or_ends_are_no_trouble_and_trouble_is_told_once() {
        let watch = Source::Watch;
        let event =
            |ms, detail: &str| Moment { detail: detail.to_owned(), ..moment(ms, "a", Phase::Event, watch) };
        let moments = vec![
            moment(10, "a", Phase::Requested, watch),
            event(20, "Pulling: image"),
            event(30, "Unhealthy: 503"),
            event(40, "Failed: ErrImagePull"),
            event(50, "Failed: ErrImagePull"),
            moment(900, "a", Phase::Ready, watch),
            event(1000, "Unhealthy: time-out"),
            moment(1100, "a", Phase::Terminating, watch),
            event(1200, "Unhealthy: refused"),
        ];
        let lives = phases(&timeline(moments));
        assert_eq!(lives[0].troubles, ["Failed: ErrImagePull", "Unhealthy: time-out"]);
    }

    #[test]
    fn a_replica_that_never_became_ready_counts_in_no_median_but_is_told_of() {
        let moments = vec![
            moment(10, "a", Phase::Requested, Source::Watch),
            moment(900, "a", Phase::Restarted, Source::Watch),
            moment(2900, "a", Phase::Restarted, Source::Watch),
        ];
        let lives = phases(&timeline(moments));
        assert_eq!((lives.len(), lives[0].restarts, lives[0].troubles.len()), (1, 2, 2));
        assert!(starts(&lives).is_empty());
    }

    proptest! {
        #[test]
        fn stages_are_never_negative_and_add_up_to_the_whole(
            times in prop::collection::vec(prop::option::of(0..100_000_i64), 7),
        ) {
            let moments = Phase::START.into_iter().zip(times).filter_map(|(phase, at)| {
                Some(moment(at?, "a", phase, Source::Watch))
            });
            let moments = moments.chain([moment(0, "a", Phase::Requested, Source::Watch)]);
            for life in phases(&timeline(moments.collect())) {
                let stages = life.stages();
                prop_assert!(stages.iter().all(|stage| stage.ms >= 0.0));
                prop_assert!(stages.windows(2).all(|pair| pair[0].to == pair[1].from));
                let known: Vec<f64> = Phase::START.iter().filter_map(|phase| life.at_ms(*phase)).collect();
                let latest = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                prop_assert!((life.start_ms() - (latest - known[0])).abs() < 1e-6);
            }
        }
    }
}
