//! Series for plots, so that reports only draw: percentiles over time, distribution, replicas.

use super::{
    quantiles::nearest_rank,
    window::{NS_PER_S, Pacing, is_answer},
};
use crate::{record::Outcome, store::CellData};

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

/// Response times and rates of a cell in bins of `bin_s` seconds from its start to its last answer.
///
/// No bins without records, or if `bin_s` is not above zero; at most 100,000.
pub fn percentiles_over_time(data: &CellData, bin_s: f64) -> Vec<TimeBin> {
    let pacing = Pacing::from(&data.meta.cell.load.arrivals);
    let sent_ns = |r: &crate::record::Record| match pacing {
        Pacing::Open => r.scheduled_ns,
        Pacing::Closed => r.sent_ns,
    };
    let Some(end_ns) = data.records.iter().map(|r| r.done_ns.max(sent_ns(r))).max() else {
        return Vec::new();
    };
    if bin_s.is_nan() || bin_s <= 0.0 {
        return Vec::new();
    }
    let bin_of = |at_ns: u64| (at_ns as f64 / NS_PER_S / bin_s) as usize;
    let count = bin_of(end_ns).saturating_add(1).min(100_000);
    let mut times_ms = vec![Vec::new(); count];
    let mut sent = vec![0_u64; count];
    let mut answered = vec![0_u64; count];
    for record in &data.records {
        let asked = bin_of(sent_ns(record)).min(count - 1);
        sent[asked] += 1;
        if record.outcome == Outcome::Ok {
            times_ms[asked].push(record.response_ns() as f64 / 1e6);
        }
        if is_answer(record.outcome) {
            answered[bin_of(record.done_ns).min(count - 1)] += 1;
        }
    }
    times_ms
        .into_iter()
        .zip(sent.into_iter().zip(answered))
        .enumerate()
        .map(|(index, (mut times_ms, (sent, answered)))| {
            times_ms.sort_by(f64::total_cmp);
            TimeBin {
                t_s: index as f64 * bin_s,
                count: times_ms.len() as u64,
                p50_ms: nearest_rank(&times_ms, 500),
                p95_ms: nearest_rank(&times_ms, 950),
                offered_rps: sent as f64 / bin_s,
                achieved_rps: answered as f64 / bin_s,
            }
        })
        .collect()
}

/// The empirical distribution of values (ms): pairs of a value and the fraction that does not exceed it.
///
/// Thinned to about 400 points, evenly in the logarithm of the fraction that lies beyond, so that a
/// plot with a logarithmic tail shows every one of the largest values; first and last are always there.
pub fn cdf(values_ms: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted: Vec<f64> = values_ms.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    // Half of the points evenly over the ranks (the body), half evenly in log(n - rank) (the tail).
    let half = CDF_POINTS / 2;
    let body = (0..half).map(|i| i * n / half);
    let tail = (0..=half).map(|i| n - (n as f64).powf(i as f64 / half as f64).round() as usize);
    let mut picked: Vec<usize> = if n <= CDF_POINTS { (0..n).collect() } else { body.chain(tail).collect() };
    picked.sort_unstable();
    let mut points: Vec<(f64, f64)> = picked
        .into_iter()
        .filter(|&i| i < n)
        .map(|i| (sorted[i], fraction_up_to(&sorted, sorted[i])))
        .collect();
    points.dedup();
    points
}

/// The fraction of ascending values that do not exceed this one.
fn fraction_up_to(ascending: &[f64], value: f64) -> f64 {
    ascending.partition_point(|&v| v <= value) as f64 / ascending.len() as f64
}

/// Response times of the correct answers of the measured interval, ms, for [`cdf`].
pub fn response_times_ms(data: &CellData) -> Vec<f64> {
    let window = super::window::Window::of_cell(data);
    data.records
        .iter()
        .filter(|r| r.outcome == Outcome::Ok && window.holds(r))
        .map(|r| r.response_ns() as f64 / 1e6)
        .collect()
}

/// Ready and desired replicas over time: seconds since the cell's start, ready, desired.
pub fn replicas(data: &CellData) -> Vec<(f64, u32, u32)> {
    let mut samples: Vec<_> =
        data.samples.iter().map(|s| (s.at_ns as f64 / NS_PER_S, s.sample.ready, s.sample.desired)).collect();
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    samples
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analyse::testing::{CellBuilder, ms};

    #[test]
    fn bins_count_requests_where_they_were_sent_and_answers_where_they_arrived() {
        let mut data = CellBuilder::open(10.0).build();
        data.records.truncate(0);
        data.records.push(crate::analyse::testing::answered(0, ms(900), ms(300)));
        data.records.push(crate::analyse::testing::answered(1, ms(1100), ms(50)));
        let bins = percentiles_over_time(&data, 1.0);
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
    fn nothing_recorded_or_no_bin_width_yields_no_bins() {
        let mut data = CellBuilder::open(10.0).build();
        assert!(percentiles_over_time(&data, 0.0).is_empty());
        assert!(percentiles_over_time(&data, f64::NAN).is_empty());
        data.records.clear();
        assert!(percentiles_over_time(&data, 1.0).is_empty());
        assert!(cdf(&[]).is_empty());
    }

    #[test]
    fn the_ten_largest_of_many_values_are_all_in_the_distribution() {
        let values: Vec<f64> = (0..50_000).map(f64::from).collect();
        let points = cdf(&values);
        assert!(points.len() <= CDF_POINTS + 1, "{}", points.len());
        for largest in &values[values.len() - 10..] {
            assert!(points.iter().any(|p| (p.0 - largest).abs() < 0.5), "{largest} is missing");
        }
        assert_eq!(points[0], (0.0, 1.0 / 50_000.0));
        assert_eq!(points.last(), Some(&(49_999.0, 1.0)));
    }

    proptest! {
        #[test]
        fn a_distribution_is_small_ascending_and_true(values in prop::collection::vec(0.0f64..50.0, 1..2000)) {
            let points = cdf(&values);
            prop_assert!(points.len() <= CDF_POINTS + 1);
            prop_assert!(points.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
            for (value, fraction) in points {
                let not_exceeding = values.iter().filter(|v| **v <= value).count() as f64;
                prop_assert!((fraction - not_exceeding / values.len() as f64).abs() < 1e-12);
            }
        }
    }
}
