//! Averages over a sliding window of one-second buckets, as the Knative autoscaler keeps them
//! (knative/serving, `pkg/autoscaler/aggregation/bucketing.go`, `TimedFloat64Buckets`).

use std::{collections::VecDeque, time::Duration};

/// Sums of samples by second, no older than one window.
#[derive(Debug, Clone)]
pub struct SecondBuckets {
    /// Length of the window, in buckets of one second; at least 1.
    length_s: u64,
    /// The second of the first sample ever.
    first_s: Option<u64>,
    /// Second and sum, ascending.
    buckets: VecDeque<(u64, f64)>,
}

impl SecondBuckets {
    /// Buckets for a window, rounded up to whole seconds.
    pub fn new(window: Duration) -> Self {
        let length_s = window.as_millis().div_ceil(1000).max(1) as u64;
        Self { length_s, first_s: None, buckets: VecDeque::new() }
    }

    /// Adds a sample to the bucket of its second. Time must not run backwards.
    pub fn record(&mut self, at: Duration, value: f64) {
        let second = at.as_secs();
        let silent = self.buckets.back().is_none_or(|&(last, _)| last + self.length_s <= second);
        if silent {
            // Nothing for a whole window: the revision starts afresh.
            self.buckets.clear();
            self.first_s = Some(second);
        }
        match self.buckets.back_mut() {
            Some((last, sum)) if *last >= second => *sum += value,
            _ => self.buckets.push_back((second, value)),
        }
        while self.buckets.front().is_some_and(|&(s, _)| s + self.length_s <= second) {
            self.buckets.pop_front();
        }
    }

    /// Mean over the window that ends now; none before the first sample.
    ///
    /// Divides by the seconds since the first sample or by the window, whichever is shorter, so
    /// that a new revision is not judged by a window it has not lived through. Seconds between
    /// the last sample and now are left out, as the original does; silence for a whole window is 0.
    pub fn average(&self, now: Duration) -> Option<f64> {
        let first_s = self.first_s?;
        let now_s = now.as_secs();
        let Some(&(last_s, _)) = self.buckets.back() else { return Some(0.0) };
        let silent_s = now_s.saturating_sub(last_s);
        if silent_s >= self.length_s {
            return Some(0.0);
        }
        let oldest_s = (last_s.max(now_s) + 1).saturating_sub(self.length_s);
        let sum: f64 = self.buckets.iter().filter(|(s, _)| *s >= oldest_s).map(|(_, v)| v).sum();
        let valid_s = (last_s - first_s + 1).min(self.length_s - silent_s);
        // Rounded to six digits like the original, so that float dust never makes ceil() jump.
        Some((sum / valid_s as f64 * 1e6).round() / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn there_is_no_average_before_the_first_sample() {
        assert_eq!(SecondBuckets::new(s(60.0)).average(s(5.0)), None);
    }

    #[test]
    fn a_young_window_is_divided_by_its_age_and_an_old_one_by_its_length() {
        let mut buckets = SecondBuckets::new(s(6.0));
        buckets.record(s(0.2), 4.0);
        buckets.record(s(1.2), 2.0);
        assert_eq!(buckets.average(s(1.9)), Some(3.0));
        for second in 2..10 {
            buckets.record(s(f64::from(second)), 12.0);
        }
        assert_eq!(buckets.average(s(9.5)), Some(12.0));
    }

    #[test]
    fn samples_of_the_same_second_add_up() {
        let mut buckets = SecondBuckets::new(s(6.0));
        buckets.record(s(3.1), 1.0);
        buckets.record(s(3.9), 2.0);
        assert_eq!(buckets.average(s(3.95)), Some(3.0));
    }

    #[test]
    fn silence_for_a_whole_window_is_zero() {
        let mut buckets = SecondBuckets::new(s(6.0));
        buckets.record(s(1.0), 5.0);
        assert_eq!(buckets.average(s(6.9)), Some(5.0));
        assert_eq!(buckets.average(s(7.0)), Some(0.0));
    }

    #[test]
    fn after_a_silent_window_the_average_starts_afresh() {
        let mut buckets = SecondBuckets::new(s(6.0));
        buckets.record(s(1.0), 5.0);
        buckets.record(s(20.0), 1.0);
        assert_eq!(buckets.average(s(20.5)), Some(1.0));
    }

    proptest! {
        #[test]
        fn the_average_lies_between_the_least_and_the_most_of_one_sample_a_second(
            values in prop::collection::vec(0.0..100.0f64, 1..200), window in 1u64..70
        ) {
            let mut buckets = SecondBuckets::new(Duration::from_secs(window));
            for (second, value) in values.iter().enumerate() {
                buckets.record(Duration::from_secs(second as u64), *value);
            }
            let recent = &values[values.len().saturating_sub(window as usize)..];
            let average = buckets.average(Duration::from_secs(values.len() as u64 - 1)).unwrap();
            let mean = recent.iter().sum::<f64>() / recent.len() as f64;
            prop_assert!((average - mean).abs() < 1e-5, "{average} is not {mean}");
        }
    }
}
