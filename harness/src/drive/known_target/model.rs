//! When the target of known behaviour answers: a pure function of arrivals and a seed.
//!
//! The model runs on its own clock: what a timer is late by does not add up, since the next
//! departure counts from when the last one was due, not from when it happened.

use super::Behaviour;
use crate::drive::draws::Stream;

/// When a request is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// The service time that was drawn, nanoseconds; waiting and stalls are not in it.
    pub(super) service_ns: u64,
    /// When it is to be answered, nanoseconds since the target's start.
    pub(super) due_ns: u64,
}

/// A behaviour at work.
#[derive(Debug)]
pub(super) struct Model {
    behaviour: Behaviour,
    draws: Stream,
    /// When the one server of a queue is free again.
    free_at_ns: u64,
}

impl Model {
    /// The model of `seed`; the same seed serves the n-th arrival alike.
    pub(super) fn new(behaviour: Behaviour, seed: u64) -> Self {
        Self { behaviour, draws: Stream::new(seed, b"service"), free_at_ns: 0 }
    }

    /// The next request, which arrived at `arrived_ns`. Arrivals must ascend.
    pub(super) fn next(&mut self, arrived_ns: u64) -> Due {
        let service_ns = (self.behaviour.service_quantile_s(self.draws.unit()) * 1e9) as u64;
        let due_ns = match self.behaviour {
            Behaviour::Queue { .. } => {
                self.free_at_ns = self.free_at_ns.max(arrived_ns) + service_ns;
                self.free_at_ns
            }
            Behaviour::Stalls { stall, every, .. } => {
                thawed(arrived_ns, service_ns, stall.as_nanos() as u64, every.as_nanos() as u64)
            }
            _ => arrived_ns + service_ns,
        };
        Due { service_ns, due_ns }
    }
}

/// When a request ends on a server that is frozen for the last `stall_ns` of each period.
fn thawed(arrived_ns: u64, service_ns: u64, stall_ns: u64, every_ns: u64) -> u64 {
    let phase_ns = arrived_ns % every_ns;
    let awake_ns = every_ns - stall_ns;
    if phase_ns >= awake_ns {
        arrived_ns - phase_ns + every_ns + service_ns
    } else if phase_ns + service_ns <= awake_ns {
        arrived_ns + service_ns
    } else {
        arrived_ns + service_ns + stall_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_serves_one_after_the_other() {
        let mut model = Model::new("queue:2ms".parse().unwrap(), 1);
        let first = model.next(1_000);
        let second = model.next(1_500);
        let late = model.next(10_000_000_000);
        assert_eq!(first.due_ns, 1_000 + first.service_ns);
        assert_eq!(second.due_ns, first.due_ns + second.service_ns, "it waits for the first");
        assert_eq!(late.due_ns, 10_000_000_000 + late.service_ns, "the queue was empty");
    }

    #[test]
    fn a_stall_holds_what_it_finds_and_what_arrives_in_it() {
        // Frozen from 80 to 100 of each 100; a request takes 5.
        let end = |arrived| thawed(arrived, 5, 20, 100);
        assert_eq!(end(10), 15);
        assert_eq!(end(75), 80, "just in time");
        assert_eq!(end(76), 101, "4 of its 5 before the stall, 1 after");
        assert_eq!(end(80), 105);
        assert_eq!(end(99), 105);
        assert_eq!(end(100), 105);
        assert_eq!(end(280), 305);
    }

    #[test]
    fn the_same_seed_serves_alike_and_another_one_differently() {
        let draw = |seed| {
            let mut model = Model::new("exponential".parse().unwrap(), seed);
            [model.next(0).service_ns, model.next(0).service_ns]
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }
}
