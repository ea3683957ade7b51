//! What a request costs by the size of its body, where sizes are swept, and the line through it.

use super::{
    summary::{SizeFit, SizeSummary},
    tally::Counting,
    window::Window,
};
use crate::{
    experiment::{LoadPoint, PayloadChoice},
    record::{Outcome, Record},
};

const BYTES_PER_MIB: f64 = 1_048_576.0;

/// Sums up the requests of an interval by payload, record by record.
pub(super) struct BySize {
    window: Window,
    /// By index of the payload; empty where no sizes are swept.
    groups: Vec<(u64, Counting)>,
}

impl BySize {
    /// Nothing yet.
    pub(super) fn new(window: Window, load: &LoadPoint) -> Self {
        let bytes: &[u64] = match &load.payload {
            Some(PayloadChoice::Sizes { bytes }) if bytes.len() > 1 => bytes,
            _ => &[],
        };
        Self { window, groups: bytes.iter().map(|&bytes| (bytes, Counting::new(window))).collect() }
    }

    /// Takes a record.
    pub(super) fn take(&mut self, record: &Record) {
        if self.groups.is_empty() || !self.window.holds(record) {
            return;
        }
        if let Some((_, counting)) = self.groups.get_mut(usize::from(record.payload)) {
            counting.take(record);
        }
    }

    /// The sizes' figures, smallest first.
    pub(super) fn finish(&self) -> Vec<SizeSummary> {
        let of = |(bytes, counting): &(u64, Counting)| {
            let counts = counting.finish();
            SizeSummary {
                bytes: *bytes,
                requests: counts.requests,
                correct: counts.count(Outcome::Ok),
                response_ms: counts.response_ms,
            }
        };
        let mut sizes: Vec<SizeSummary> = self.groups.iter().map(of).collect();
        sizes.sort_by_key(|size| size.bytes);
        sizes
    }
}

/// The line through the medians of at least three sizes.
///
/// Least squares weighted by 1/y^2, which makes the *relative* distances small (Draper and Smith,
/// "Applied Regression Analysis", 1998, section 9.2, for errors in proportion to the value): without
/// weights the largest size alone would decide, and the intercept would mean nothing.
pub(super) fn fit(sizes: &[SizeSummary]) -> Option<SizeFit> {
    let points: Vec<(f64, f64)> = sizes
        .iter()
        .filter_map(|size| {
            Some((size.bytes as f64 / BYTES_PER_MIB, size.response_ms.p50.filter(|ms| *ms > 0.0)?))
        })
        .collect();
    if points.len() < 3 {
        return None;
    }
    let sum = |term: fn(f64, f64) -> f64| points.iter().map(|&(x, y)| term(x, y) / (y * y)).sum::<f64>();
    let (w, x, y) = (sum(|_, _| 1.0), sum(|x, _| x), sum(|_, y| y));
    let (xx, xy) = (sum(|x, _| x * x), sum(|x, y| x * y));
    let spread = w * xx - x * x;
    let ms_per_mib = (w * xy - x * y) / spread;
    let fit = SizeFit { intercept_ms: (y - ms_per_mib * x) / w, ms_per_mib };
    (spread > 0.0 && fit.ms_per_mib.is_finite()).then_some(fit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analyse::{
        summary::Quantiles,
        testing::{CellBuilder, answered, ms},
    };

    fn sizes(points: &[(u64, f64)]) -> Vec<SizeSummary> {
        let of = |&(bytes, p50): &(u64, f64)| SizeSummary {
            bytes,
            requests: 10,
            correct: 10,
            response_ms: Quantiles { p50: Some(p50), ..Quantiles::default() },
        };
        points.iter().map(of).collect()
    }

    #[test]
    fn requests_are_told_apart_by_the_body_that_they_carried() {
        let mut load = CellBuilder::open(20.0).cell().load;
        load.payload = Some(PayloadChoice::Sizes { bytes: vec![4096, 1024] });
        let window = Window::planned(&load);
        let mut found = BySize::new(window, &load);
        for i in 0..10 {
            let small = i % 2 == 1;
            let took = if small { ms(1) } else { ms(9) };
            let record = answered(i, window.start_ns + i, took);
            found.take(&Record { payload: u16::from(small), ..record });
        }
        let found = found.finish();
        let told: Vec<_> = found.iter().map(|s| (s.bytes, s.requests, s.response_ms.p50)).collect();
        assert_eq!(told, [(1024, 5, Some(1.0)), (4096, 5, Some(9.0))]);
        load.payload = None;
        assert!(BySize::new(window, &load).finish().is_empty());
    }

    #[test]
    fn two_sizes_make_no_line() {
        assert_eq!(fit(&sizes(&[(1024, 1.0), (4096, 2.0)])), None);
        assert_eq!(fit(&sizes(&[(1024, 1.0), (1024, 2.0), (1024, 3.0)])), None, "one size is none either");
    }

    proptest! {
        #[test]
        fn a_line_is_found_and_noise_in_proportion_moves_it_in_proportion(
            intercept in 0.1..50.0_f64, slope in 0.1..100.0_f64, noise in prop::array::uniform7(-0.02..0.02_f64),
        ) {
            let exact = |bytes: u64| intercept + slope * bytes as f64 / BYTES_PER_MIB;
            let bytes = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22];
            let found = fit(&sizes(&bytes.map(|b| (b, exact(b))))).unwrap();
            prop_assert!((found.ms_per_mib / slope - 1.0).abs() < 1e-6);
            prop_assert!((found.intercept_ms / intercept - 1.0).abs() < 1e-6);
            let noisy: Vec<_> = bytes.iter().zip(noise).map(|(&b, n)| (b, exact(b) * (1.0 + n))).collect();
            let found = fit(&sizes(&noisy)).unwrap();
            prop_assert!((found.intercept_ms / intercept - 1.0).abs() < 0.03);
            prop_assert!((found.ms_per_mib * 4.0 - slope * 4.0).abs() < 0.06 * exact(1 << 22));
        }
    }
}
