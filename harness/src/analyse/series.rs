//! Series for plots, so that reports only draw: percentiles over time, distribution, replicas.

use super::{
    times::Times,
    window::{NS_PER_S, Pacing, is_answer},
};
use crate::{
    experiment::LoadPoint,
    record::{Outcome, Record},
    store::CellData,
};

/// Points of a distribution at most, about.
const CDF_POINTS: usize = 400;

/// What happened in one stretch of a cell. Warm-up and drain have bins too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeBin {
    /// Its start, seconds since the cell's start.
    pub t_s: f64,
    /// Correct answers to requests sent in it (by intended time in an open loop).
    pub count: u64,
    /// Median response time of these, ms.
    pub p50_ms: Option<f64>,
    /// 95th percentile of their response times, ms.
    pub p95_ms: Option<f64>,
    /// Requests sent in it, a second (by intended time in an open loop).
    pub offered_rps: f64,
    /// Answers of any kind that were complete in it, a second.
    pub achieved_rps: f64,
}

/// Bins at most.
const MOST_BINS: usize = 10_000;

/// A bin width that divides a load point's plan into about thirty, seconds.
pub fn bin_s(load: &LoadPoint) -> f64 {
    nice_step((load.warmup + load.duration).as_secs_f64() / 40.0).max(0.25)
}

/// The next of 1, 2, 5 times a power of ten (Heckbert: Nice Numbers for Graph Labels, Graphics Gems, 1990).
pub fn nice_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|mark| mark * power)
        .into_iter()
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(power)
}

/// Response times and rates of a cell in bins, from its start to its last answer; takes one record
/// after another. At most 10,000 bins; what comes later falls into the last one.
#[derive(Debug, Clone)]
pub struct Binning {
    bin_s: f64,
    pacing: Pacing,
    bins: Vec<Bin>,
}

#[derive(Debug, Clone)]
struct Bin {
    times: Times,
    sent: u64,
    answered: u64,
}

impl Binning {
    /// Bins of so many seconds (above zero).
    pub fn new(bin_s: f64, pacing: Pacing) -> Self {
        Self { bin_s, pacing, bins: Vec::new() }
    }

    /// Takes a record.
    pub fn take(&mut self, record: &Record) {
        let sent_ns = match self.pacing {
            Pacing::Open => record.scheduled_ns,
            Pacing::Closed => record.sent_ns,
        };
        let asked = self.at(sent_ns);
        asked.sent += 1;
        if record.outcome == Outcome::Ok {
            asked.times.push(record.response_ns(), false);
        }
        self.at(record.done_ns).answered += u64::from(is_answer(record.outcome));
    }

    fn at(&mut self, at_ns: u64) -> &mut Bin {
        let index = ((at_ns as f64 / NS_PER_S / self.bin_s) as usize).min(MOST_BINS - 1);
        if self.bins.len() <= index {
            self.bins.resize_with(index + 1, || Bin { times: Times::coarse(), sent: 0, answered: 0 });
        }
        &mut self.bins[index]
    }

    /// The bins.
    pub fn finish(&self) -> Vec<TimeBin> {
        let bin = |(index, bin): (usize, &Bin)| {
            let quantiles = bin.times.quantiles();
            TimeBin {
                t_s: index as f64 * self.bin_s,
                count: quantiles.count,
                p50_ms: quantiles.p50,
                p95_ms: quantiles.p95,
                offered_rps: bin.sent as f64 / self.bin_s,
                achieved_rps: bin.answered as f64 / self.bin_s,
            }
        };
        self.bins.iter().enumerate().map(bin).collect()
    }
}

/// The empirical distribution of times: pairs of a value (ms) and the fraction that does not exceed it.
/// Censored times stand at their lower bounds.
///
/// Thinned to about 400 points, evenly in the logarithm of the fraction that lies beyond, so that a
/// plot with a logarithmic tail shows every one of the largest values; first and last are always there.
pub fn cdf(times: &Times) -> Vec<(f64, f64)> {
    let runs = times.runs();
    let n = times.count() as usize;
    // Half of the points evenly over the ranks (the body), half evenly in log(n - rank) (the tail).
    let half = CDF_POINTS / 2;
    let body = (0..half).map(|i| i * n / half);
    let tail = (0..=half).map(|i| n - (n as f64).powf(i as f64 / half as f64).round() as usize);
    let mut picked: Vec<usize> = if n <= CDF_POINTS { (0..n).collect() } else { body.chain(tail).collect() };
    picked.sort_unstable();
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(picked.len());
    let mut picked = picked.into_iter().filter(|&rank| rank < n).peekable();
    let mut reached = 0;
    for run in runs.chunk_by(|a, b| a.ms.total_cmp(&b.ms).is_eq()) {
        reached += run.iter().map(|run| run.count).sum::<u64>() as usize;
        if picked.next_if(|&rank| rank < reached).is_some() {
            points.push((run[0].ms, reached as f64 / n as f64));
            while picked.next_if(|&rank| rank < reached).is_some() {}
        }
    }
    points
}

/// Ready and desired replicas over time: seconds since the cell's start, ready, desired.
pub fn replicas<R>(data: &CellData<R>) -> Vec<(f64, u32, u32)> {
    let mut samples: Vec<_> =
        data.samples.iter().map(|s| (s.at_ns as f64 / NS_PER_S, s.sample.ready, s.sample.desired)).collect();
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    samples
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analyse::testing::{answered, ms};

    fn bins_of(records: &[Record], bin_s: f64) -> Vec<TimeBin> {
        let mut binning = Binning::new(bin_s, Pacing::Open);
        records.iter().for_each(|record| binning.take(record));
        binning.finish()
    }

    fn times(values_ms: &[f64]) -> Times {
        let mut times = Times::default();
        values_ms.iter().for_each(|ms| times.push((ms * 1e6) as u64, false));
        times
    }

    #[test]
    fn bins_count_requests_where_they_were_sent_and_answers_where_they_arrived() {
        let bins = bins_of(&[answered(0, ms(900), ms(300)), answered(1, ms(1100), ms(50))], 1.0);
        assert_eq!(bins.len(), 2);
        assert_eq!(
            (bins[0].count, bins[0].p50_ms, bins[0].offered_rps, bins[0].achieved_rps),
            (1, Some(300.0), 1.0, 0.0)
        );
        assert_eq!(
            (bins[1].count, bins[1].p50_ms, bins[1].offered_rps, bins[1].achieved_rps),
            (1, Some(50.0), 1.0, 2.0)
        );
    }

    #[test]
    fn nothing_recorded_yields_no_bins_and_no_distribution() {
        assert!(bins_of(&[], 1.0).is_empty());
        assert!(cdf(&Times::default()).is_empty());
    }

    #[test]
    fn a_time_beyond_the_last_bin_falls_into_it() {
        let bins = bins_of(&[answered(0, 0, u64::MAX / 2)], 0.25);
        assert_eq!(bins.len(), MOST_BINS);
        assert!(bins[MOST_BINS - 1].achieved_rps > 0.0);
    }

    #[test]
    fn the_ten_largest_of_many_values_are_all_in_the_distribution() {
        let values: Vec<f64> = (0..50_000).map(f64::from).collect();
        let points = cdf(&times(&values));
        assert!(points.len() <= CDF_POINTS + 1, "{}", points.len());
        for largest in &values[values.len() - 10..] {
            assert!(points.iter().any(|p| (p.0 - largest).abs() < 0.5), "{largest} is missing");
        }
        assert_eq!(points[0], (0.0, 1.0 / 50_000.0));
        assert_eq!(points.last(), Some(&(49_999.0, 1.0)));
    }

    proptest! {
        #[test]
        fn a_distribution_is_small_ascending_and_true(values in prop::collection::vec(0u64..50_000_000, 1..2000)) {
            let mut times = Times::default();
            values.iter().for_each(|ns| times.push(*ns, false));
            let points = cdf(&times);
            prop_assert!(points.len() <= CDF_POINTS + 1);
            prop_assert!(points.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
            for (value, fraction) in points {
                let not_exceeding = values.iter().filter(|ns| **ns as f64 / 1e6 <= value).count() as f64;
                prop_assert!((fraction - not_exceeding / values.len() as f64).abs() < 1e-12);
            }
        }
    }
}
