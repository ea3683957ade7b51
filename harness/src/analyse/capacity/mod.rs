//! Whether a probe held a service level, decided with confidence, and which rate to probe next. Pure.
//!
//! "p99 <= 500 ms" is the statement that at most 1 % of the requests take longer. Of `n` requests the
//! number that do is compared with the binomial distribution; this is the one-sided order-statistic
//! bound of the quantile (David and Nagaraja, "Order Statistics", 2003, section 7.1), asked the other
//! way round. A level holds where its violation is refuted at 95 %, and is broken where its keeping is.
//! With no slow request at all that takes n = ln 0.05 / ln(1 - share): 299 for 1 %, 2,995 for 0.1 %.
//!
//! The bound takes requests as independent. Near the capacity they are not, since a queue makes
//! neighbours alike: that is why one search yields one value, and trials are what is compared.

mod search;
mod watch;

pub use search::{Next, Search};
pub use watch::{Decision, Watch, determined};

use serde::{Deserialize, Serialize};

use super::statistics::binomial;
use crate::experiment::Slo;

/// Error that a single look at a probe may make, one-sided.
const LEVEL: f64 = 0.05;

/// Whether a service level held in a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Shown to hold.
    Yes,
    /// Shown not to hold.
    No,
    /// Neither; taken as not held.
    Undecided,
}

/// What a probe's verdict rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Requests that count.
    pub requests: u64,
    /// Of them with a response time: correct answers, and those that were too late or never came.
    pub timed: u64,
    /// Of the timed ones beyond the limit.
    pub slow: u64,
    /// Of all not answered correctly.
    pub failed: u64,
}

impl Evidence {
    /// What the evidence shows.
    pub fn judge(&self, slo: &Slo) -> Held {
        let claims = self.claims(slo);
        if claims.iter().any(|(n, k, share)| binomial::at_least(*n, *k, *share) < LEVEL) {
            Held::No
        } else if claims.iter().all(|(n, k, share)| binomial::at_most(*n, *k, *share) < LEVEL) {
            Held::Yes
        } else {
            Held::Undecided
        }
    }

    /// Whether one of the limits is broken beyond doubt at this level, however often one looks.
    fn is_hopeless(&self, slo: &Slo, level: f64) -> bool {
        self.claims(slo).iter().any(|(n, k, share)| binomial::at_least(*n, *k, *share) < level)
    }

    /// Of so many, so many broke the limit; tolerated is this share.
    fn claims(&self, slo: &Slo) -> [(u64, u64, f64); 2] {
        [(self.timed, self.slow, 1.0 - slo.quantile), (self.requests, self.failed, slo.failures)]
    }
}

/// Requests without a fault that it takes to show that the level holds.
pub fn fewest_requests(slo: &Slo) -> u64 {
    let share = (1.0 - slo.quantile).min(slo.failures);
    (LEVEL.ln() / (-share).ln_1p()).ceil() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence(requests: u64, slow: u64, failed: u64) -> Evidence {
        Evidence { requests, timed: requests, slow, failed }
    }

    #[test]
    fn a_claim_of_a_tenth_of_a_percent_takes_three_thousand_clean_requests() {
        let slo = Slo { quantile: 0.999, failures: 0.001, ..Slo::default() };
        assert_eq!(fewest_requests(&slo), 2995);
        assert_eq!(evidence(2995, 0, 0).judge(&slo), Held::Yes);
        assert_eq!(evidence(2994, 0, 0).judge(&slo), Held::Undecided);
        assert_eq!(evidence(2995, 0, 1).judge(&slo), Held::Undecided);
        assert_eq!(fewest_requests(&Slo::default()), 299);
    }

    #[test]
    fn slow_answers_and_failures_break_a_level_each_on_its_own() {
        let slo = Slo::default();
        assert_eq!(evidence(500, 15, 0).judge(&slo), Held::No);
        assert_eq!(evidence(500, 0, 15).judge(&slo), Held::No);
        assert_eq!(evidence(500, 5, 5).judge(&slo), Held::Undecided);
        assert_eq!(evidence(10, 10, 0).judge(&slo), Held::No);
        assert_eq!(Evidence::default().judge(&slo), Held::Undecided);
    }

    proptest! {
        /// At the limit itself a verdict of either kind is wrong, so it comes at most once in twenty.
        #[test]
        fn a_verdict_errs_at_most_as_often_as_it_says(n in 300u64..3000) {
            let slo = Slo::default();
            let mut wrong = [0.0, 0.0];
            for slow in 0..=n / 10 {
                let of_exactly = |k: u64| binomial::at_most(n, k, 0.01) - if k == 0 { 0.0 } else { binomial::at_most(n, k - 1, 0.01) };
                // No failures: their claim holds from 299 on.
                match evidence(n, slow, 0).judge(&slo) {
                    Held::Yes => wrong[0] += of_exactly(slow),
                    Held::No => wrong[1] += of_exactly(slow),
                    Held::Undecided => (),
                }
            }
            prop_assert!(wrong.iter().all(|&share| share < LEVEL), "{wrong:?}");
        }
    }
}
