//! Which revision gave which answers, where several share the traffic.

use std::collections::BTreeMap;

use super::{
    summary::RevisionSummary,
    tally::{Counting, Tally},
    window::Window,
};
use crate::record::{Outcome, Record};

/// Stands for requests whose answer named no known instance: refusals, time-outs.
const NONE: &str = "(no revision answered)";

/// Sums up the requests of an interval by revision, record by record.
pub(super) struct ByRevision {
    window: Window,
    /// Revision of each pod.
    revisions: BTreeMap<String, String>,
    groups: BTreeMap<String, Counting>,
}

impl ByRevision {
    /// Nothing yet; `revisions` names each pod's.
    pub(super) fn new(window: Window, revisions: BTreeMap<String, String>) -> Self {
        let groups = revisions.values().map(|name| (name.clone(), Counting::new(window))).collect();
        Self { window, revisions, groups }
    }

    /// Takes a record; nothing happens where fewer than two revisions are known.
    pub(super) fn take(&mut self, record: &Record) {
        if self.groups.len() < 2 || !self.window.holds(record) {
            return;
        }
        // `instance id/boot id`; the instance's id is the pod's name.
        let pod = record.instance.as_deref().and_then(|instance| instance.split('/').next());
        let name = pod.and_then(|pod| self.revisions.get(pod)).map_or(NONE, String::as_str);
        if !self.groups.contains_key(name) {
            self.groups.insert(name.to_owned(), Counting::new(self.window));
        }
        if let Some(counting) = self.groups.get_mut(name) {
            counting.take(record);
        }
    }

    /// The revisions' figures; empty where fewer than two are known.
    pub(super) fn finish(&self) -> Vec<RevisionSummary> {
        if self.groups.len() < 2 {
            return Vec::new();
        }
        let counted: Vec<(&str, Tally)> =
            self.groups.iter().map(|(name, counting)| (name.as_str(), counting.finish())).collect();
        let all: u64 = counted.iter().map(|(_, counts)| counts.requests).sum();
        let of = |(name, counts): (&str, Tally)| RevisionSummary {
            revision: name.to_owned(),
            requests: counts.requests,
            share: counts.requests as f64 / all.max(1) as f64,
            correct: counts.count(Outcome::Ok),
            response_ms: counts.response_ms,
        };
        counted.into_iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::testing::CellBuilder;

    fn by_revision(
        records: &[Record],
        window: Window,
        revisions: &BTreeMap<String, String>,
    ) -> Vec<RevisionSummary> {
        let mut found = ByRevision::new(window, revisions.clone());
        records.iter().for_each(|record| found.take(record));
        found.finish()
    }

    #[test]
    fn answers_are_attributed_by_their_pod_and_the_rest_is_named() {
        let mut data = CellBuilder::open(20.0).build();
        let window = Window::planned(&data.meta.cell.load);
        for (index, record) in data.records.iter_mut().enumerate() {
            let pod = if index % 10 == 0 { "canary-pod/b2" } else { "stable-pod/b1" };
            record.instance = (index % 25 != 1).then(|| pod.into());
        }
        let revisions = BTreeMap::from([
            ("canary-pod".to_owned(), "classify-canary".to_owned()),
            ("stable-pod".to_owned(), "classify-stable".to_owned()),
        ]);
        let found = by_revision(&data.records, window, &revisions);
        let names: Vec<&str> = found.iter().map(|r| r.revision.as_str()).collect();
        assert_eq!(names, [NONE, "classify-canary", "classify-stable"]);
        assert!((found.iter().map(|r| r.share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((found[1].share - 0.1).abs() < 0.02 && (found[0].share - 0.04).abs() < 0.02, "{found:?}");
        assert!(found[2].response_ms.p50.is_some());
    }

    #[test]
    fn a_single_revision_needs_no_table() {
        let data = CellBuilder::open(20.0).build();
        let one = BTreeMap::from([("pod".to_owned(), "classify-00001".to_owned())]);
        assert!(by_revision(&data.records, Window::planned(&data.meta.cell.load), &one).is_empty());
    }
}
