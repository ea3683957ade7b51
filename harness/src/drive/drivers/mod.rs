//! Load generators of others, to be compared with: goose and wrk, beside our own.
//!
//! Both are closed loops: a connection sends when it was answered, so a target that stalls is asked
//! less while it does, and most of the wait is in nobody's percentiles (coordinated omission). Each
//! runs in a process of its own. What they do not give is said, not made up.

mod goose;
#[cfg(feature = "goose")]
mod goose_child;
mod native;
mod process;
mod protocol;
mod wrk;
mod wrk_text;

use std::{sync::Arc, time::Duration};

pub use goose::serve as serve_goose;

use serde::{Deserialize, Serialize};

use super::{DriveError, Endpoint, Payload, Progress};
use crate::{interrupt::Interrupt, record::Record};

/// Who drives the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// Our own engine
    #[default]
    Native,
    /// goose 0.19, a Rust library; closed loop only
    Goose,
    /// wrk, where it is installed; closed loop only
    Wrk,
}

impl Driver {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Native, Self::Goose, Self::Wrk];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Goose => "goose",
            Self::Wrk => "wrk",
        }
    }

    /// Whether it can be used here.
    ///
    /// # Errors
    /// When it is not built in or not installed; the message names the remedy.
    pub fn available(self) -> Result<(), DriverError> {
        match self {
            Self::Native => Ok(()),
            Self::Goose if cfg!(feature = "goose") => Ok(()),
            Self::Goose => Err(DriverError::NotBuilt),
            Self::Wrk => wrk::program().map(|_| ()),
        }
    }

    /// What it does not give, in one sentence.
    pub fn does_not_give(self) -> &'static str {
        match self {
            Self::Native => "Nothing is missing.",
            Self::Goose => {
                "goose stops its clock at the answer's head, knows when a request was sent to the millisecond only, and gives no lateness, no time to connect and no time of the whole answer."
            }
            Self::Wrk => {
                "wrk gives percentiles only: no record of a request, no lateness; a request that got no answer is in none of them, and below each latency beyond twice its mean interval it makes up samples (stats_correct)."
            }
        }
    }
}

/// A closed loop for any driver.
#[derive(Debug, Clone)]
pub struct ClosedLoad {
    /// Where to.
    pub endpoint: Endpoint,
    /// HTTP method.
    pub method: hyper::Method,
    /// What is sent.
    pub payload: Payload,
    /// Connections side by side, each with one request at a time.
    pub connections: u32,
    /// How long; goose and wrk take whole seconds.
    pub duration: Duration,
    /// Deadline of each request; goose and wrk take whole seconds.
    pub timeout: Duration,
    /// Bind the driver to this core.
    pub core: Option<usize>,
}

/// What a driver said of latency in its own words, milliseconds; none where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// 99.9th percentile.
    pub p99_9: Option<f64>,
    /// Longest.
    pub max: Option<f64>,
}

/// What a driver would have you believe.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Word {
    /// Requests that it counted as done, failed ones included.
    pub requests: u64,
    /// Failures by its own names, those that occurred.
    pub failures: Vec<(&'static str, u64)>,
    /// How long it measured, seconds.
    pub seconds: f64,
    /// Latency in its own words.
    pub latency_ms: Latency,
    /// CPU seconds of its process; of the generator's thread for our own.
    pub cpu_seconds: f64,
    /// Its requests as far as it knows them; none from wrk.
    #[serde(skip)]
    pub records: Option<Vec<Record>>,
    /// Whether it was stopped before its time.
    pub interrupted: bool,
}

impl Word {
    /// Failures of all kinds.
    pub fn failed(&self) -> u64 {
        self.failures.iter().map(|&(_, count)| count).sum()
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.requests as f64 / self.seconds } else { 0.0 }
    }
}

/// Why a driver did not drive.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// goose is not compiled in.
    #[error(
        "this harness was built without goose; build it with `cargo build --release -p harness --features goose`, or choose another --driver"
    )]
    NotBuilt,
    /// wrk is not there.
    #[error("wrk is not installed; install it (apt-get install wrk), or choose another --driver")]
    NotInstalled,
    /// The driver cannot play such a load.
    #[error("{0}")]
    Load(String),
    /// It ended without a result.
    #[error("{driver} failed: {cause}")]
    Failed {
        /// Which one.
        driver: &'static str,
        /// Its words.
        cause: String,
    },
    /// Our own engine, or what starts the others, refused.
    #[error(transparent)]
    Drive(#[from] DriveError),
}

impl DriverError {
    /// Whether the user asked for something that cannot be.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NotBuilt | Self::NotInstalled | Self::Load(_) => true,
            Self::Drive(error) => {
                matches!(error, DriveError::Url { .. } | DriveError::Core { .. } | DriveError::Load(_))
            }
            Self::Failed { .. } => false,
        }
    }
}

/// Drives a closed loop to its end, or until the interrupt, and returns the driver's word.
/// Dropping the future ends the driver's process. One at a time: the CPU time of a driver is that
/// of the processes that ended meanwhile.
///
/// # Errors
/// When the driver is not to be had, cannot play the load, or fails.
pub async fn drive(
    driver: Driver,
    load: &ClosedLoad,
    progress: Arc<Progress>,
    interrupt: Interrupt,
) -> Result<Word, DriverError> {
    driver.available()?;
    if driver != Driver::Native {
        check(driver, load)?;
    }
    match driver {
        Driver::Native => native::drive(load, progress, interrupt).await,
        Driver::Goose => goose::drive(load, interrupt).await,
        Driver::Wrk => wrk::drive(load, interrupt).await,
    }
}

/// Refuses what neither goose nor wrk can do.
fn check(driver: Driver, load: &ClosedLoad) -> Result<(), DriverError> {
    let refuse = |cause: String| Err(DriverError::Load(cause));
    let name = driver.name();
    for (flag, time) in [("--duration", load.duration), ("--timeout", load.timeout)] {
        if time.as_secs() == 0 || time.subsec_nanos() != 0 {
            return refuse(format!("{name} takes whole seconds only; give {flag} as 1s, 2s, ..."));
        }
    }
    if load.connections == 0 {
        return refuse("--connections must be at least 1".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn load(url: &str) -> ClosedLoad {
        ClosedLoad {
            endpoint: Endpoint { url: url.into(), headers: Vec::new() },
            method: hyper::Method::GET,
            payload: Payload { name: "empty".into(), content_type: String::new(), body: bytes::Bytes::new() },
            connections: 2,
            duration: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            core: None,
        }
    }

    #[test]
    fn parts_of_seconds_are_refused_with_the_remedy() {
        let half = ClosedLoad { duration: Duration::from_millis(1500), ..load("http://127.0.0.1:1/") };
        let error = check(Driver::Wrk, &half).unwrap_err();
        assert!(error.is_usage());
        assert_eq!(error.to_string(), "wrk takes whole seconds only; give --duration as 1s, 2s, ...");
    }
}
