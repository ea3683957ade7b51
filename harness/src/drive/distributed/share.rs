//! A share of a load: which of its calls, or of its connections, one of several generators plays.
//! Pure.

use serde::{Deserialize, Serialize};

use crate::drive::Plan;

/// One of several parts of a plan. In an open plan it is every call whose id leaves the remainder
/// `index`, at the very time that one generator would have sent it, so that the parts together are
/// the plan. In a closed plan it is a share of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which part, from 0.
    pub index: u32,
    /// Of how many; never 0.
    pub of: u32,
}

impl Default for Share {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The parts of a plan that is divided by this many.
    pub fn all(of: u32) -> impl Iterator<Item = Self> {
        (0..of).map(move |index| Self { index, of })
    }

    /// The id in the whole plan of this part's call number `own`, from 0.
    pub fn call_id(self, own: u64) -> u64 {
        own * u64::from(self.of) + u64::from(self.index)
    }

    /// Whether a call of the whole plan belongs to this part.
    pub fn owns(self, call_id: u64) -> bool {
        call_id % u64::from(self.of) == u64::from(self.index)
    }

    /// This part's number for a connection, unique among all parts.
    pub fn connection(self, own: u32) -> u32 {
        own.saturating_mul(self.of).saturating_add(self.index)
    }

    /// In words: `worker 2 of 3`.
    pub fn name(self) -> String {
        format!("worker {} of {}", self.index + 1, self.of)
    }

    /// This part of a plan. It may hold nothing: a plan of three calls has no fourth part.
    pub fn part_of(self, plan: &Plan) -> Plan {
        match plan {
            Plan::Open { send_times_ns, assigned } => {
                Plan::Open { send_times_ns: self.every(send_times_ns), assigned: self.every(assigned) }
            }
            Plan::Closed { connections, think_time_ns, duration_ns, requests } => {
                let whole = u64::from(*connections);
                let before = self.of_first(whole, u64::from(self.index));
                let until = self.of_first(whole, u64::from(self.index) + 1);
                // Requests go with the connections: a part without any cannot send one.
                let requests = requests.map(|requests| {
                    let up_to = |connections: u64| {
                        u128::from(requests) * u128::from(connections) / u128::from(whole.max(1))
                    };
                    (up_to(until) - up_to(before)) as u64
                });
                Plan::Closed {
                    connections: (until - before) as u32,
                    think_time_ns: *think_time_ns,
                    duration_ns: *duration_ns,
                    requests,
                }
            }
        }
    }

    fn every<T: Copy>(self, items: &[T]) -> Vec<T> {
        items.iter().skip(self.index as usize).step_by(self.of.max(1) as usize).copied().collect()
    }

    /// How many of `whole` things the first so many parts have together.
    fn of_first(self, whole: u64, parts: u64) -> u64 {
        whole * parts / u64::from(self.of.max(1))
    }
}

/// Whether a plan sends nothing at all.
pub(super) fn is_empty(plan: &Plan) -> bool {
    match plan {
        Plan::Open { send_times_ns, .. } => send_times_ns.is_empty(),
        Plan::Closed { connections, requests, .. } => *connections == 0 || *requests == Some(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::drive::Assigned;

    proptest! {
        #[test]
        fn the_parts_of_an_open_plan_are_the_plan_and_each_call_is_in_one(
            times in prop::collection::vec(0u64..1_000_000, 0..200), of in 1u32..9, with_payloads: bool,
        ) {
            let mut times = times;
            times.sort_unstable();
            let assigned: Vec<Assigned> = if with_payloads {
                (0..times.len()).map(|i| Assigned { endpoint: None, payload: Some(i as u16) }).collect()
            } else {
                Vec::new()
            };
            let plan = Plan::Open { send_times_ns: times.clone(), assigned: assigned.clone() };
            let mut found = vec![None; times.len()];
            for share in Share::all(of) {
                let Plan::Open { send_times_ns, assigned: own } = share.part_of(&plan) else { panic!("closed") };
                prop_assert!(send_times_ns.is_sorted());
                for (number, at_ns) in send_times_ns.into_iter().enumerate() {
                    let id = share.call_id(number as u64);
                    prop_assert!(share.owns(id));
                    prop_assert!(found[id as usize].is_none(), "call {id} is in two parts");
                    found[id as usize] = Some((at_ns, own.get(number).copied()));
                }
            }
            for (id, found) in found.into_iter().enumerate() {
                prop_assert_eq!(found, Some((times[id], assigned.get(id).copied())));
            }
        }

        #[test]
        fn the_parts_of_a_closed_plan_have_its_connections_and_requests(
            connections in 1u32..2000, requests in prop::option::of(0u64..u64::MAX / 2), of in 1u32..40,
        ) {
            let plan = Plan::Closed { connections, think_time_ns: 7, duration_ns: Some(9), requests };
            let (mut sum, mut sent, mut sizes) = (0, 0u64, Vec::new());
            for share in Share::all(of) {
                let Plan::Closed { connections, think_time_ns: 7, duration_ns: Some(9), requests } = share.part_of(&plan)
                else { panic!("the pace changed") };
                prop_assert!(connections > 0 || requests.unwrap_or(0) == 0, "requests without a connection");
                sum += connections;
                sent += requests.unwrap_or(0);
                sizes.push(connections);
            }
            prop_assert_eq!(sum, connections);
            prop_assert_eq!(sent, requests.unwrap_or(0));
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "uneven: {:?}", sizes);
        }
    }

    #[test]
    fn connections_of_different_parts_have_different_numbers() {
        let mut all: Vec<u32> =
            Share::all(3).flat_map(|share| (0..5).map(move |own| share.connection(own))).collect();
        all.sort_unstable();
        assert_eq!(all, (0..15).collect::<Vec<_>>());
    }
}
