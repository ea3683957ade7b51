//! Which revision gave which answers, where several share the traffic.

use std::collections::BTreeMap;

use super::{summary::RevisionSummary, tally::tally, window::Window};
use crate::record::{Outcome, Record};

/// Stands for requests whose answer named no known instance: refusals, time-outs.
const NONE: &str = "(no revision answered)";

/// Sums up the requests of an interval by revision; `revisions` names each pod's. Empty where fewer
/// than two revisions are known.
pub fn by_revision(
    records: &[Record],
    window: &Window,
    revisions: &BTreeMap<String, String>,
) -> Vec<RevisionSummary> {
    let mut groups: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    for name in revisions.values() {
        groups.entry(name).or_default();
    }
    if groups.len() < 2 {
        return Vec::new();
    }
    let held: Vec<&Record> = records.iter().filter(|r| window.holds(r)).collect();
    for record in &held {
        // `instance id/boot id`; the instance's id is the pod's name.
        let pod = record.instance.as_deref().and_then(|instance| instance.split('/').next());
        let name = pod.and_then(|pod| revisions.get(pod)).map_or(NONE, String::as_str);
        groups.entry(name).or_default().push((*record).clone());
    }
    let of = |(name, records): (&str, Vec<Record>)| {
        let counts = tally(&records, window);
        RevisionSummary {
            revision: name.to_owned(),
            requests: counts.requests,
            share: counts.requests as f64 / (held.len().max(1)) as f64,
            correct: counts.count(Outcome::Ok),
            response_ms: counts.response_ms,
        }
    };
    groups.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::testing::CellBuilder;

    #[test]
    fn answers_are_attributed_by_their_pod_and_the_rest_is_named() {
        let mut data = CellBuilder::open(20.0).build();
        let window = Window::of_cell(&data);
        for (index, record) in data.records.iter_mut().enumerate() {
            let pod = if index % 10 == 0 { "canary-pod/b2" } else { "stable-pod/b1" };
            record.instance = (index % 25 != 1).then(|| pod.into());
        }
        let revisions = BTreeMap::from([
            ("canary-pod".to_owned(), "classify-canary".to_owned()),
            ("stable-pod".to_owned(), "classify-stable".to_owned()),
        ]);
        let found = by_revision(&data.records, &window, &revisions);
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
        assert!(by_revision(&data.records, &Window::of_cell(&data), &one).is_empty());
    }
}
