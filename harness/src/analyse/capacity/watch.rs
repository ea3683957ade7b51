//! A probe while it runs: when it may end, and with which verdict.
//!
//! Only requests whose fate is known count: a request that is older than the limit has either been
//! answered in time or has not, whatever becomes of it. Counting those that have ended would favour
//! the quick ones. What was intended, not what was sent, is counted: a late generator hides nothing.

use super::{Evidence, Held, fewest_requests};
use crate::{
    experiment::Slo,
    record::{Outcome, Record},
};

/// How often a probe is looked at to decide it; each time with twice the requests of the last.
const LOOKS: u32 = 3;
/// Chance of giving up wrongly at one glance. Glances come a few times a second, so each must err
/// much more rarely than a look.
const HOPELESS: f64 = 1e-4;
/// Requests before the first glance.
const FEWEST_TO_GIVE_UP: u64 = 20;

/// What is known of the requests that were intended in `[from_ns, now_ns - limit)`.
///
/// `intended_ns` are the plan's send times, ascending. A request without a record counts as slow.
pub fn determined(
    records: &[Record],
    intended_ns: &[u64],
    slo: &Slo,
    (from_ns, now_ns): (u64, u64),
) -> Evidence {
    let limit_ns = (slo.limit_ms * 1e6) as u64;
    let to_ns = now_ns.saturating_sub(limit_ns).max(from_ns);
    let place = |at_ns: u64| intended_ns.partition_point(|&intended| intended < at_ns) as u64;
    let requests = place(to_ns) - place(from_ns);
    let counted = records.iter().filter(|r| (from_ns..to_ns).contains(&r.scheduled_ns));
    let (mut in_time, mut failed, mut untimed) = (0, 0, 0);
    for record in counted {
        match record.outcome {
            Outcome::Ok => in_time += u64::from(record.response_ns() <= limit_ns),
            Outcome::Timeout => failed += 1,
            _ => (failed, untimed) = (failed + 1, untimed + 1),
        }
    }
    let timed = requests.saturating_sub(untimed);
    Evidence { requests, timed, slow: timed.saturating_sub(in_time), failed }
}

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the level held.
    pub held: Held,
    /// What that rests on.
    pub evidence: Evidence,
    /// Whether it was given up before its first look was due, being hopeless.
    pub abandoned: bool,
}

/// Decides when a probe ends.
#[derive(Debug, Clone)]
pub struct Watch {
    slo: Slo,
    /// Requests at which the next look is due.
    due: u64,
    looks_left: u32,
}

impl Watch {
    /// A probe that has not begun.
    pub fn new(slo: Slo) -> Self {
        Self { slo, due: fewest_requests(&slo), looks_left: LOOKS }
    }

    /// Requests after which no probe goes on.
    pub fn most_requests(slo: &Slo) -> u64 {
        fewest_requests(slo) << (LOOKS - 1)
    }

    /// Looks at what is known by now; the decision, if there is one.
    pub fn look(&mut self, evidence: Evidence) -> Option<Decision> {
        if evidence.requests >= FEWEST_TO_GIVE_UP && evidence.is_hopeless(&self.slo, HOPELESS) {
            return Some(Decision { held: Held::No, evidence, abandoned: true });
        }
        if evidence.requests < self.due {
            return None;
        }
        let held = evidence.judge(&self.slo);
        self.looks_left = self.looks_left.saturating_sub(1);
        self.due = evidence.requests.max(self.due) * 2;
        (held != Held::Undecided || self.looks_left == 0).then_some(Decision {
            held,
            evidence,
            abandoned: false,
        })
    }

    /// The decision on a probe that was played to the end of its plan.
    pub fn at_the_end(&self, evidence: Evidence) -> Decision {
        Decision { held: evidence.judge(&self.slo), evidence, abandoned: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::testing::answered;

    const MS: u64 = 1_000_000;

    fn slo() -> Slo {
        Slo { limit_ms: 100.0, ..Slo::default() }
    }

    #[test]
    fn a_request_counts_once_its_fate_is_known_and_an_unanswered_one_is_slow() {
        let intended: Vec<u64> = (0..10).map(|i| i * 50 * MS).collect();
        // 0 in time, 1 late, 2 refused, 3 unanswered, from 4 on too young at 290 ms.
        let records = [
            answered(0, 0, 30 * MS),
            answered(1, 50 * MS, 120 * MS),
            Record { outcome: Outcome::Platform, ..answered(2, 100 * MS, MS) },
            answered(4, 200 * MS, 20 * MS),
        ];
        let seen = determined(&records, &intended, &slo(), (0, 290 * MS));
        assert_eq!(seen, Evidence { requests: 4, timed: 3, slow: 2, failed: 1 });
        let later = determined(&records, &intended, &slo(), (50 * MS, 301 * MS));
        assert_eq!(later, Evidence { requests: 4, timed: 3, slow: 2, failed: 1 });
        assert_eq!(determined(&records, &intended, &slo(), (0, 50 * MS)), Evidence::default());
    }

    #[test]
    fn a_clean_probe_ends_at_the_first_look_and_a_hopeless_one_long_before() {
        let mut watch = Watch::new(slo());
        let clean = |n| Evidence { requests: n, timed: n, slow: 0, failed: 0 };
        assert_eq!(watch.look(clean(298)), None);
        let decided = watch.look(clean(305)).unwrap();
        assert_eq!((decided.held, decided.abandoned), (Held::Yes, false));

        let mut watch = Watch::new(slo());
        let stuck = |n| Evidence { requests: n, timed: n, slow: n / 2, failed: 0 };
        assert_eq!(watch.look(stuck(19)), None);
        let decided = watch.look(stuck(24)).unwrap();
        assert_eq!((decided.held, decided.abandoned), (Held::No, true));
    }

    #[test]
    fn an_open_probe_is_lengthened_twice_and_is_then_undecided() {
        let mut watch = Watch::new(slo());
        let middling = |n: u64| Evidence { requests: n, timed: n, slow: n / 120, failed: 0 };
        assert_eq!(watch.look(middling(300)), None);
        assert_eq!(watch.look(middling(450)), None, "no look between the looks");
        assert_eq!(watch.look(middling(600)), None);
        let last = watch.look(middling(Watch::most_requests(&slo()) + 10)).unwrap();
        assert_eq!(last.held, Held::Undecided);
    }
}
