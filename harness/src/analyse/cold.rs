//! Cold starts of one trial: how each was proved, and what it cost beside a warm request.
//!
//! Three classes, told apart by proof and never by how long an answer took: cold (no replica was
//! left, the process that answered is new, and this was its first answer), queued (the process is
//! new, but another request was its first: ours waited behind that one's start), warm (the process had
//! answered before). An answer that names no process proves nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    lives::{At, ReplicaLife, Start},
    summary::Problem,
};
use crate::{
    collect::timeline::{Phase, Source},
    platforms::ZeroProof,
    record::{Outcome, Record},
};

/// What a trial's cold starts came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColdStarts {
    /// Starts that were planned.
    pub planned: u32,
    /// Why this platform has no cold start from zero: it keeps a replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Why there are fewer than planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// In order.
    pub starts: Vec<ColdStart>,
}

/// One request after zero replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColdStart {
    /// What was seen when nothing was left.
    pub zero: ZeroProof,
    /// What its answer proves.
    pub class: Class,
    /// Why it is no proved cold start; empty for one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Name of the replica that answered.
    pub replica: Option<String>,
    /// Intended send, Unix nanoseconds of this machine's clock.
    pub sent_unix_ns: u64,
    /// From the intended send to the answer, ms.
    pub response_ms: f64,
    /// Of it the function's own work on the request, ms, if it told.
    pub server_ms: Option<f64>,
    /// The same request, sent right afterwards, one after another: from the intended send, ms.
    pub warm_ms: Vec<f64>,
}

/// What an answer proves of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A new process, and its first answer.
    Cold,
    /// A new process whose first answer went to somebody else.
    Queued,
    /// A process that had answered before.
    Warm,
    /// Nothing: no correct answer, or one that names no process.
    Unproved,
}

/// Tells what an answer after zero replicas proves, and why it is not a cold start. `seen` holds the
/// boot ids that answered before.
pub fn classify(record: &Record, zero: &ZeroProof, seen: &BTreeSet<String>) -> (Class, String) {
    if record.outcome != Outcome::Ok {
        return (
            Class::Unproved,
            format!("it ended as {} (status {})", record.outcome.name(), record.status),
        );
    }
    let Some((replica, boot)) = identity(record) else {
        return (
            Class::Unproved,
            "the answer names no process (X-Boot-Id); only the testbed's own function does".to_owned(),
        );
    };
    if seen.contains(boot) || zero.gone.iter().any(|gone| gone == replica) {
        return (Class::Warm, format!("{replica} had answered before; something kept it alive"));
    }
    if !record.cold {
        return (Class::Queued, format!("{replica} answered another request first"));
    }
    (Class::Cold, String::new())
}

/// Replica and boot id of an answer.
pub fn identity(record: &Record) -> Option<(&str, &str)> {
    record.instance.as_deref()?.split_once('/')
}

impl ColdStarts {
    /// Those that were proved.
    pub fn proved(&self) -> impl Iterator<Item = &ColdStart> {
        self.starts.iter().filter(|start| start.class == Class::Cold)
    }

    /// Starts of a class.
    pub fn count(&self, class: Class) -> usize {
        self.starts.iter().filter(|start| start.class == class).count()
    }

    /// The trial's value: the median of its proved starts, ms.
    pub fn median_ms(&self) -> Option<f64> {
        median(self.proved().map(|start| start.response_ms).collect())
    }

    /// The same request warm: the median over the starts of each one's median, ms.
    pub fn warm_median_ms(&self) -> Option<f64> {
        median(self.proved().filter_map(ColdStart::warm_median_ms).collect())
    }

    /// Why the trial does not count: a start that could not be proved is a fault of the measurement (a
    /// replica that something kept alive), and so are fewer starts than planned.
    pub fn problems(&self) -> Vec<Problem> {
        let remedy = |remedy: &str| remedy.to_owned();
        let stopped = self.stopped.as_ref().map(|why| Problem {
            reason: format!("{} of {} starts were measured: {why}.", self.starts.len(), self.planned),
            remedy: remedy(
                "Remove the cause, or give it more time to reach zero (zero-within); run it again.",
            ),
        });
        let unproved = self.limit.is_none() && self.stopped.is_none() && self.proved().next().is_none();
        let unproved = unproved.then(|| Problem {
            reason: "Not one cold start was proved.".to_owned(),
            remedy: remedy("See the remarks for each; send nothing else to the function meanwhile."),
        });
        stopped.into_iter().chain(unproved).collect()
    }

    /// What must be known of single starts, and of the platform.
    pub fn remarks(&self) -> Vec<String> {
        let limit = self.limit.iter().map(|limit| format!("limit of the platform: {limit}."));
        let not_cold = self.starts.iter().enumerate().filter(|(_, start)| start.class != Class::Cold);
        let not_cold = not_cold.map(|(i, start)| format!("start {} is not counted: {}.", i + 1, start.why));
        limit.chain(not_cold).collect()
    }

    /// The result in a few words.
    pub fn line(&self) -> String {
        match (&self.limit, self.median_ms()) {
            (Some(limit), _) => limit.clone(),
            (None, Some(cold)) => format!(
                "{} of {} cold starts proved, median {cold:.0} ms (warm {} ms)",
                self.count(Class::Cold),
                self.planned,
                self.warm_median_ms().map_or_else(|| "?".to_owned(), |warm| format!("{warm:.1}"))
            ),
            (None, None) => format!("no cold start of {} was proved", self.planned),
        }
    }

    /// Gives the lives of the replicas that were started their begin and end: from the intended send to
    /// the answer. `started_unix_ns`: the zero of the lives' times.
    pub fn mark(&self, lives: &mut [ReplicaLife], started_unix_ns: u64) {
        let at_ms = |unix_ns: u64| (unix_ns as f64 - started_unix_ns as f64) / 1e6;
        for start in self.proved() {
            let of = |life: &&mut ReplicaLife| start.replica.as_deref() == Some(life.replica.as_str());
            let Some(life) = lives.iter_mut().find(of) else { continue };
            let sent_ms = at_ms(start.sent_unix_ns);
            let at = |ms: f64| At { ms, source: Source::Answer };
            life.start = Start::FromZero;
            life.phases.insert(Phase::Called, at(sent_ms));
            life.phases.insert(Phase::FirstAnswer, at(sent_ms + start.response_ms));
        }
    }
}

impl ColdStart {
    /// The same request warm, median, ms.
    pub fn warm_median_ms(&self) -> Option<f64> {
        median(self.warm_ms.clone())
    }
}

/// The median; none without values.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::analyse::testing::{answered, ms};

    fn zero(gone: &[&str]) -> ZeroProof {
        ZeroProof {
            waited: Duration::from_secs(9),
            gone: gone.iter().map(|name| (*name).to_owned()).collect(),
            autoscaler: "actualScale 0".into(),
        }
    }

    fn record(instance: Option<&str>, cold: bool) -> Record {
        Record { instance: instance.map(Into::into), cold, ..answered(0, 0, ms(900)) }
    }

    fn start(class: Class, response_ms: f64, warm_ms: &[f64]) -> ColdStart {
        ColdStart {
            zero: zero(&[]),
            class,
            why: String::new(),
            replica: Some("pod-2".into()),
            sent_unix_ns: 2_000_000_000,
            response_ms,
            server_ms: None,
            warm_ms: warm_ms.into(),
        }
    }

    #[test]
    fn a_cold_start_is_proved_by_a_new_process_and_its_first_answer() {
        let seen = BTreeSet::from(["b1".to_owned()]);
        let class = |record: &Record| classify(record, &zero(&["pod-1"]), &seen);
        assert_eq!(class(&record(Some("pod-2/b2"), true)), (Class::Cold, String::new()));
        for (record, expected, why) in [
            (record(Some("pod-2/b2"), false), Class::Queued, "another request first"),
            (record(Some("pod-2/b1"), true), Class::Warm, "had answered before"),
            (record(Some("pod-1/b3"), true), Class::Warm, "had answered before"),
            (record(None, true), Class::Unproved, "names no process"),
            (Record { outcome: Outcome::Timeout, ..record(None, true) }, Class::Unproved, "ended as timeout"),
        ] {
            let (class, said) = class(&record);
            assert_eq!(class, expected);
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn only_proved_starts_make_the_trials_value() {
        let starts = ColdStarts {
            planned: 4,
            starts: vec![
                start(Class::Cold, 900.0, &[30.0, 20.0, 40.0]),
                start(Class::Warm, 25.0, &[20.0]),
                start(Class::Cold, 1100.0, &[50.0]),
                start(Class::Queued, 1500.0, &[]),
            ],
            ..ColdStarts::default()
        };
        assert_eq!(starts.median_ms(), Some(1000.0));
        assert_eq!(starts.warm_median_ms(), Some(40.0));
        assert_eq!((starts.count(Class::Cold), starts.count(Class::Queued)), (2, 1));
        assert_eq!(ColdStarts::default().median_ms(), None);
    }

    #[test]
    fn a_replicas_life_begins_with_the_request_that_it_was_started_for() {
        let at = |ms| At { ms, source: Source::Watch };
        let mut lives = [ReplicaLife {
            replica: "pod-2".into(),
            node: None,
            start: Start::UnderLoad,
            phases: BTreeMap::from([(Phase::Requested, at(1003.0)), (Phase::Ready, at(1700.0))]),
            restarts: 0,
            troubles: Vec::new(),
        }];
        let starts = ColdStarts { starts: vec![start(Class::Cold, 750.0, &[])], ..ColdStarts::default() };
        starts.mark(&mut lives, 1_000_000_000);
        assert_eq!(lives[0].start, Start::FromZero);
        let stages: Vec<(Phase, f64)> = lives[0].stages().iter().map(|s| (s.to, s.ms)).collect();
        assert_eq!(stages, [(Phase::Requested, 3.0), (Phase::Ready, 697.0), (Phase::FirstAnswer, 50.0)]);
    }
}
