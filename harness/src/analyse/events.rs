//! What became of the events of a cell's answers, and whether the counts of everybody on the way
//! agree: every correct answer has one event, which is logged, or dropped and counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::summary::Quantiles;

/// The events of one cell, warm-up included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CellEvents {
    /// `off`, `background` or `inline`.
    pub mode: String,
    /// Correct answers that the generator got.
    pub answers: u64,
    /// What the replicas counted; none: their counters could not be read.
    pub function: Option<FunctionCounts>,
    /// What the broker counted; none: it does not tell (on a cluster).
    pub broker: Option<BrokerCounts>,
    /// Events that the logger got, duplicates included; none: it could not be asked.
    pub logged: Option<u64>,
    /// Of them such that it had got before.
    pub duplicates: u64,
    /// From the event's own time until the logger had taken it; empty where nobody tells.
    pub delivery_ms: Quantiles,
    /// What must be known of these counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// What the replicas count of their events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCounts {
    /// Events made.
    pub emitted: u64,
    /// Events that the broker took.
    pub delivered: u64,
    /// Attempts after the first.
    pub retried: u64,
    /// Events that nobody gets, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl FunctionCounts {
    /// Events that nobody gets.
    pub fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Events whose fate is open.
    pub fn open(&self) -> u64 {
        self.emitted.saturating_sub(self.delivered + self.lost())
    }

    /// Adds those of another replica.
    pub fn add(&mut self, other: &Self) {
        self.emitted += other.emitted;
        self.delivered += other.delivered;
        self.retried += other.retried;
        for (reason, count) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += count;
        }
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let of = |reason: &String| earlier.dropped.get(reason).copied().unwrap_or(0);
        let dropped = self.dropped.iter().map(|(reason, n)| (reason.clone(), n.saturating_sub(of(reason))));
        Self {
            emitted: self.emitted.saturating_sub(earlier.emitted),
            delivered: self.delivered.saturating_sub(earlier.delivered),
            retried: self.retried.saturating_sub(earlier.retried),
            dropped: dropped.filter(|(_, n)| *n > 0).collect(),
        }
    }
}

/// What a broker counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerCounts {
    /// Events that were acknowledged.
    pub accepted: u64,
    /// Requests that were not.
    pub refused: u64,
    /// Events that a subscriber took; one event counts for each subscriber.
    pub delivered: u64,
    /// Attempts after the first.
    pub retried: u64,
    /// Events that a subscriber does not get.
    pub lost: u64,
    /// Events that are not yet with a subscriber.
    pub queued: u64,
}

impl BrokerCounts {
    /// What came since `earlier`; what is queued is that of now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            accepted: self.accepted - earlier.accepted.min(self.accepted),
            refused: self.refused - earlier.refused.min(self.refused),
            delivered: self.delivered - earlier.delivered.min(self.delivered),
            retried: self.retried - earlier.retried.min(self.retried),
            lost: self.lost - earlier.lost.min(self.lost),
            queued: self.queued,
        }
    }
}

impl CellEvents {
    /// Events that nobody gets, as far as somebody counted them.
    pub fn dropped(&self) -> u64 {
        let function = self.function.as_ref().map_or(0, FunctionCounts::lost);
        let broker = self.broker.as_ref().map_or(0, |broker| broker.lost + broker.queued);
        function + broker
    }

    /// Answers that should have an event.
    pub fn expected(&self) -> u64 {
        if self.mode == "off" { 0 } else { self.answers }
    }

    /// Different events that reached the logger.
    pub fn unique(&self) -> Option<u64> {
        Some(self.logged?.saturating_sub(self.duplicates))
    }

    /// Answers whose event was neither logged nor counted as dropped. Below 0: events of answers that
    /// the generator did not count as correct, such as those that came too late. None: the logger
    /// could not be asked.
    pub fn missing(&self) -> Option<i64> {
        let known = self.unique()? + self.dropped();
        Some(self.expected().cast_signed() - known.cast_signed())
    }

    /// Whether everybody's counts agree, in a sentence.
    pub fn reconciled(&self) -> String {
        let expected = self.expected();
        match self.missing() {
            None => "The logger could not be asked, so nothing is known of the events.".to_owned(),
            Some(0) if expected == 0 => "No events were wanted and none came.".to_owned(),
            Some(0) if self.dropped() == 0 => {
                format!("Each of {expected} correct answers has one event at the logger.")
            }
            Some(0) => format!(
                "Each of {expected} correct answers has one event at the logger or is counted as dropped ({}).",
                self.dropped()
            ),
            Some(missing) if missing > 0 => format!(
                "Of {expected} correct answers, {missing} have no event at the logger and none that anybody counted \
                 as dropped."
            ),
            Some(surplus) => format!(
                "There are {} more events than correct answers ({expected}): of answers that the generator did not \
                 count as correct, such as those that came after their deadline.",
                -surplus
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(answers: u64, dropped: u64, logged: u64, duplicates: u64) -> CellEvents {
        let dropped = BTreeMap::from([("buffer-full".to_owned(), dropped)]);
        let function = FunctionCounts { dropped, ..FunctionCounts::default() };
        CellEvents {
            mode: "background".to_owned(),
            answers,
            function: Some(function),
            logged: Some(logged),
            duplicates,
            ..CellEvents::default()
        }
    }

    #[test]
    fn an_answer_is_accounted_for_once_whatever_became_of_its_event() {
        assert_eq!(cell(10, 0, 10, 0).missing(), Some(0));
        assert_eq!(cell(10, 3, 9, 2).missing(), Some(0), "duplicates are no further events");
        assert_eq!(cell(10, 0, 9, 0).missing(), Some(1));
        assert_eq!(cell(10, 0, 12, 0).missing(), Some(-2));
        assert_eq!(CellEvents { logged: None, ..cell(10, 0, 0, 0) }.missing(), None);
        assert_eq!(CellEvents { mode: "off".to_owned(), ..cell(10, 0, 0, 0) }.missing(), Some(0));
        let stuck = BrokerCounts { lost: 1, queued: 2, ..BrokerCounts::default() };
        assert_eq!(CellEvents { broker: Some(stuck), ..cell(10, 0, 7, 0) }.missing(), Some(0));
    }

    #[test]
    fn the_sentence_says_what_is_missing() {
        assert!(
            cell(10, 0, 10, 0)
                .reconciled()
                .starts_with("Each of 10 correct answers has one event at the logger.")
        );
        assert!(cell(10, 3, 7, 0).reconciled().contains("or is counted as dropped (3)"));
        assert!(cell(10, 0, 7, 0).reconciled().contains("3 have no event"));
        assert!(cell(10, 0, 11, 0).reconciled().contains("1 more events"));
    }

    #[test]
    fn counts_since_a_moment_leave_out_what_was_before() {
        let counts = |emitted, reason: &str, n| FunctionCounts {
            emitted,
            dropped: BTreeMap::from([(reason.to_owned(), n)]),
            ..FunctionCounts::default()
        };
        let since = counts(10, "refused", 4).since(&counts(7, "refused", 4));
        assert_eq!((since.emitted, since.lost()), (3, 0));
        assert_eq!(counts(10, "refused", 4).open(), 6);
    }
}
