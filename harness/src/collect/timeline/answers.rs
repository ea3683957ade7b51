//! First answers, from the harness's own records: which instance answered, and when it first did.

use std::collections::BTreeMap;

use super::{Moment, Phase, Source};
use crate::record::Record;

/// First answers of one deployment, and when load began. Times are Unix nanoseconds of this
/// machine's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstAnswers {
    /// First answer of each instance that named itself, by pod name.
    answers: BTreeMap<String, u64>,
    /// Cells, and when their load began.
    loads: Vec<(String, u64)>,
    /// When the deployment first answered, as the deploy call saw it.
    deployed: Option<u64>,
}

impl FirstAnswers {
    /// The deploy call saw its first correct answer then.
    pub fn deployed_at(&mut self, unix_ns: u64) {
        self.deployed = Some(unix_ns);
    }

    /// The load of a cell began then.
    pub fn load_begins(&mut self, cell_id: &str, unix_ns: u64) {
        self.loads.push((cell_id.to_owned(), unix_ns));
    }

    /// Takes the answers among some records of a cell that began at `started_unix_ns`.
    pub fn take<'a>(&mut self, started_unix_ns: u64, records: impl IntoIterator<Item = &'a Record>) {
        for record in records {
            let Some(instance) = record.instance.as_deref() else { continue };
            // `instance id/boot id`; the instance's id is the pod's name.
            let pod = instance.split('/').next().unwrap_or_default();
            let at = started_unix_ns + record.done_ns;
            match self.answers.get_mut(pod) {
                Some(first) => *first = (*first).min(at),
                None if pod.is_empty() => {}
                None => _ = self.answers.insert(pod.to_owned(), at),
            }
        }
    }

    /// Takes those of another cell of the deployment.
    pub fn merge(&mut self, other: &Self) {
        for (pod, at) in &other.answers {
            self.answers.entry(pod.clone()).and_modify(|first| *first = (*first).min(*at)).or_insert(*at);
        }
        self.loads.extend(other.loads.iter().cloned());
        self.deployed = self.deployed.or(other.deployed);
    }

    /// As moments since `started_unix_ns`.
    pub(super) fn moments(&self, started_unix_ns: u64) -> Vec<Moment> {
        let moment = |at: u64, replica: Option<&String>, phase, detail: &str| Moment {
            at_ns: since(started_unix_ns, at),
            replica: replica.cloned(),
            phase,
            detail: detail.to_owned(),
            source: Source::Answer,
        };
        let answers = self.answers.iter().map(|(pod, at)| moment(*at, Some(pod), Phase::FirstAnswer, ""));
        let loads = self.loads.iter().map(|(cell, at)| moment(*at, None, Phase::Load, cell));
        let deployed = self.deployed.iter().map(|at| moment(*at, None, Phase::FirstAnswer, ""));
        answers.chain(loads).chain(deployed).collect()
    }
}

/// Nanoseconds from one Unix time to another.
pub(super) fn since(from_unix_ns: u64, at_unix_ns: u64) -> i64 {
    // Unix nanoseconds fit into an i64 until the year 2262.
    at_unix_ns.cast_signed() - from_unix_ns.cast_signed()
}
