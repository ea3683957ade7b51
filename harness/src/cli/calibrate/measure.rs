//! The measurements of a calibration, one after the other: a fresh target for each driver.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;

use super::{CliError, Request};
use crate::{
    analyse::{
        calibration::{self, Calibration, Measured as Calibrated, Told},
        ground_truth::Arriving,
    },
    drive::{
        self, Endpoint, Load, Payload, Plan, PlayOptions,
        answer::StatusJudge,
        drivers::{self, ClosedLoad, Driver, DriverError, Word},
        known_target::{self, Behaviour, KnownOptions, KnownTarget, Served},
        shapes::{Extent, poisson},
    },
    interrupt::Interrupt,
    record::{Outcome, Record},
    screen::note,
};

/// Load before the measured time of the open loop: a queue begins empty.
const WARMUP: Duration = Duration::from_secs(1);

/// Deadline of each request; nothing that a target of known behaviour does takes as long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a measurement takes beside its duration, about: for the estimate only.
const AROUND: Duration = Duration::from_secs(1);

/// All that was measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) calibrations: Vec<Calibration>,
    pub(super) interrupted: bool,
    /// What ended it early; the behaviours before are complete.
    pub(super) failure: Option<CliError>,
}

impl Measured {
    /// Whether our open loop told the truth each time.
    pub(super) fn passed(&self) -> bool {
        !self.calibrations.is_empty() && self.calibrations.iter().all(|calibration| calibration.passed)
    }
}

/// Measures every behaviour with every driver; when interrupted or when a driver fails, what is
/// complete stays.
pub(super) fn measure(request: &Request) -> Result<Measured, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start: free memory or open files")?;
    runtime.block_on(async {
        let interrupt = Interrupt::on_signals().context("cannot listen for signals")?;
        let mut measured = Measured::default();
        let mut steps = Steps::new(request);
        for behaviour in &request.behaviours {
            let bench = Bench { request, behaviour: *behaviour, interrupt: interrupt.clone() };
            match bench.calibrate(&mut steps).await {
                Ok(Some(calibration)) => measured.calibrations.push(calibration),
                Ok(None) => measured.interrupted = true,
                Err(error) => measured.failure = Some(error),
            }
            if measured.interrupted || measured.failure.is_some() {
                break;
            }
        }
        Ok(measured)
    })
}

/// Lines of progress.
struct Steps {
    quiet: bool,
    done: u32,
    all: u32,
    each: Duration,
}

impl Steps {
    fn new(request: &Request) -> Self {
        let native = u32::from(request.drivers.contains(&Driver::Native));
        let each = request.drivers.len() as u32 + native;
        let all = request.behaviours.len() as u32 * each;
        Self { quiet: request.quiet, done: 0, all, each: request.duration + AROUND }
    }

    fn begin(&mut self, behaviour: &Behaviour, driver: &str) {
        if !self.quiet {
            let left_s = (self.each * (self.all - self.done)).as_secs();
            let (number, all) = (self.done + 1, self.all);
            note!(
                "[{number}/{all}] {}: {driver}; about {} min {} s left",
                behaviour.name(),
                left_s / 60,
                left_s % 60
            );
        }
        self.done += 1;
    }
}

/// One behaviour.
struct Bench<'a> {
    request: &'a Request,
    behaviour: Behaviour,
    interrupt: Interrupt,
}

impl Bench<'_> {
    /// None when interrupted.
    async fn calibrate(&self, steps: &mut Steps) -> Result<Option<Calibration>, CliError> {
        let mut told = Vec::new();
        let mut served = Vec::new();
        for &driver in &self.request.drivers {
            if driver == Driver::Native {
                steps.begin(&self.behaviour, "native open loop");
                let (open, own) = self.open().await?;
                told.push(open);
                served = own;
            }
            if self.interrupt.is_raised() {
                return Ok(None);
            }
            let name = if driver == Driver::Native { "native closed loop" } else { driver.name() };
            steps.begin(&self.behaviour, name);
            let word = self.closed(driver).await?;
            if word.interrupted || self.interrupt.is_raised() {
                return Ok(None);
            }
            told.push(closed_told(name, &word));
        }
        let measured = Calibrated {
            behaviour: self.behaviour,
            rate: self.request.rate_of(&self.behaviour),
            connections: self.request.connections,
            served_ms: served.iter().map(|served| served.response_ns() as f64 / 1e6).collect(),
            late_ms: served.iter().map(|served| served.late_ns() as f64 / 1e6).collect(),
            told,
        };
        Ok(Some(calibration::calibrate(measured)))
    }

    /// A fresh target, so that each driver meets the same service times.
    fn target(&self) -> Result<KnownTarget, DriverError> {
        Ok(known_target::spawn(KnownOptions {
            port: 0,
            behaviour: self.behaviour,
            seed: self.request.seed,
            body_bytes: 2,
            core: drive::apart().map(|(_, target)| target),
        })?)
    }

    /// Our open loop, and the target's own record of the same requests.
    async fn open(&self) -> Result<(Told, Vec<Served>), DriverError> {
        let target = self.target()?;
        let rate = self.request.rate_of(&self.behaviour);
        let sends = poisson(rate, Extent::Duration(WARMUP + self.request.duration), self.request.seed);
        let load = Load {
            method: hyper::Method::GET,
            timeout: TIMEOUT,
            drain: TIMEOUT,
            seed: self.request.seed,
            ..Load::new(Plan::open(sends), vec![endpoint(&target)], [nothing()].into(), Arc::new(StatusJudge))
        };
        let kept: Arc<Mutex<Vec<Record>>> = Arc::default();
        let rows = Arc::clone(&kept);
        let sink = move |batch: &[Record]| {
            rows.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch);
            Ok(())
        };
        let options = PlayOptions { core: driver_core(), ..PlayOptions::default() };
        drive::play(load, options, sink, self.interrupt.clone()).await?;
        let records = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        let (early, counted): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| u128::from(record.scheduled_ns) < WARMUP.as_nanos());
        let times_ms = counted.iter().map(|record| record.response_ns() as f64 / 1e6).collect();
        let arriving = Arriving::Poisson { rate };
        let mut told = Told::of_times("native open loop", arriving, &self.behaviour, times_ms);
        told.failed = counted.iter().filter(|record| record.outcome != Outcome::Ok).count() as u64;
        let mut served = target.take_served();
        served.sort_by_key(|served| served.arrived_ns);
        served.drain(..early.len().min(served.len()));
        Ok((told, served))
    }

    /// Any driver's closed loop.
    async fn closed(&self, driver: Driver) -> Result<Word, DriverError> {
        let target = self.target()?;
        let load = ClosedLoad {
            endpoint: endpoint(&target),
            method: hyper::Method::GET,
            payload: nothing(),
            connections: self.request.connections,
            duration: self.request.duration,
            timeout: TIMEOUT,
            core: driver_core(),
        };
        drivers::drive(driver, &load, Arc::default(), self.interrupt.clone()).await
    }
}

/// Drivers have a core of their own where there are two.
fn driver_core() -> Option<usize> {
    drive::apart().map(|(driver, _)| driver)
}

fn endpoint(target: &KnownTarget) -> Endpoint {
    Endpoint { url: target.url() + "/", headers: Vec::new() }
}

fn nothing() -> Payload {
    Payload { name: "empty".into(), content_type: String::new(), body: bytes::Bytes::new() }
}

/// What a driver of a closed loop says, in its own words.
fn closed_told(name: &str, word: &Word) -> Told {
    let latency = &word.latency_ms;
    Told {
        driver: name.into(),
        open: false,
        requests: word.requests,
        failed: word.failed(),
        ms: [latency.p50, latency.p90, latency.p99, latency.p99_9],
        interval_ms: [None; 4],
    }
}
