//! Single requests after pauses: which pause does an idle instance survive?

use std::time::Duration;

use super::MOST_SENDS;

/// Send times: each request comes one of `gaps` after the one before; after the last gap the first
/// one comes again. All lie in the window.
pub fn idle(gaps: &[Duration], window: Duration) -> Vec<u64> {
    if gaps.iter().all(Duration::is_zero) {
        return Vec::new();
    }
    let mut at = Duration::ZERO;
    gaps.iter()
        .cycle()
        .map(|gap| {
            at += *gap;
            at
        })
        .take_while(|at| *at < window)
        .take(MOST_SENDS as usize)
        .map(|at| at.as_nanos() as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_follows_its_pause() {
        let seconds = |s: &[u64]| s.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
        let times = idle(&seconds(&[1, 5]), Duration::from_secs(14));
        assert_eq!(times, [1, 6, 7, 12, 13].map(|s| s * 1_000_000_000));
        assert!(idle(&seconds(&[0]), Duration::from_secs(9)).is_empty());
        assert!(idle(&[], Duration::from_secs(9)).is_empty());
    }
}
