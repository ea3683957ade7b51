//! Until `analyse::series` is there.
use crate::{record::Outcome, store::CellData};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeBin {
    pub t_s: f64,
    pub count: u64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub offered_rps: f64,
    pub achieved_rps: f64,
}

pub fn percentiles_over_time(data: &CellData, bin_s: f64) -> Vec<TimeBin> {
    let Some(end) = data.records.iter().map(|r| r.done_ns).max() else { return vec![] };
    let of = |ns: u64| (ns as f64 / 1e9 / bin_s) as usize;
    let n = of(end) + 1;
    let (mut t, mut s, mut a) = (vec![vec![]; n], vec![0u64; n], vec![0u64; n]);
    for r in &data.records {
        s[of(r.scheduled_ns)] += 1;
        if r.outcome == Outcome::Ok {
            t[of(r.scheduled_ns)].push(r.response_ns() as f64 / 1e6);
        }
        a[of(r.done_ns)] += 1;
    }
    (0..n)
        .map(|i| {
            t[i].sort_by(f64::total_cmp);
            let q = |p: f64| t[i].get(((t[i].len() as f64 * p) as usize).min(t[i].len().max(1) - 1)).copied();
            TimeBin {
                t_s: i as f64 * bin_s,
                count: t[i].len() as u64,
                p50_ms: q(0.5),
                p95_ms: q(0.95),
                offered_rps: s[i] as f64 / bin_s,
                achieved_rps: a[i] as f64 / bin_s,
            }
        })
        .collect()
}

pub fn cdf(values: &[f64]) -> Vec<(f64, f64)> {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    let n = v.len() as f64;
    v.into_iter().enumerate().map(|(i, v)| (v, (i + 1) as f64 / n)).collect()
}

pub fn replicas(data: &CellData) -> Vec<(f64, u32, u32)> {
    data.samples.iter().map(|s| (s.at_ns as f64 / 1e9, s.sample.ready, s.sample.desired)).collect()
}
