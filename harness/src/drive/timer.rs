//! Waking up on time: to some microseconds, without spinning.
//!
//! tokio's own timer counts whole milliseconds. A `timerfd` is armed with nanoseconds and wakes
//! the same `epoll_wait` that waits for answers, at about one microsecond of system calls a send.

use std::{
    os::fd::{AsFd, AsRawFd, RawFd},
    time::{Duration, Instant},
};

use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::io::{Interest, unix::AsyncFd};

/// A one-shot timer with the kernel's full resolution. Needs a tokio runtime with I/O.
#[derive(Debug)]
pub(super) struct PreciseTimer {
    fd: AsyncFd<Fd>,
}

/// `TimerFd` as `AsyncFd` wants it.
#[derive(Debug)]
struct Fd(TimerFd);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl PreciseTimer {
    /// A timer that is not armed.
    pub(super) fn new() -> std::io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Fd(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
        #[expect(
            deprecated,
            reason = "its successor is unsafe because a type may give away or close its descriptor; `Fd` does neither"
        )]
        let fd = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self { fd })
    }

    /// Resolves after `wait`. Dropping it before is fine; the next call arms the timer anew.
    pub(super) async fn sleep(&mut self, wait: Duration) -> std::io::Result<()> {
        if wait.is_zero() {
            return Ok(());
        }
        let until = Instant::now() + wait;
        let expiration = Expiration::OneShot(TimeSpec::from_duration(wait));
        self.fd.get_ref().0.set(expiration, TimerSetTimeFlags::empty())?;
        loop {
            self.fd.readable().await?.clear_ready();
            // An expiry from before this call may have been noted as readiness.
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_never_wakes_early_and_mostly_well_under_a_millisecond_late() {
        let mut timer = PreciseTimer::new().unwrap();
        let mut late_us: Vec<u128> = Vec::new();
        for step in 0..100u64 {
            let wait = Duration::from_micros(100 + step * 17);
            let begin = Instant::now();
            timer.sleep(wait).await.unwrap();
            let slept = begin.elapsed();
            assert!(slept >= wait, "woke {:?} early", wait.checked_sub(slept));
            late_us.push(slept.saturating_sub(wait).as_micros());
        }
        late_us.sort_unstable();
        // The median, since a busy machine may well disturb some of them.
        assert!(late_us[50] < 900, "median lateness {} us", late_us[50]);
    }

    #[tokio::test]
    async fn an_abandoned_sleep_does_not_shorten_the_next_one() {
        let mut timer = PreciseTimer::new().unwrap();
        // Long enough that a busy machine does not let it end before it is given up.
        let short = Duration::from_millis(30);
        for _ in 0..3 {
            let abandoned = tokio::time::timeout(Duration::ZERO, timer.sleep(short)).await;
            assert!(abandoned.is_err());
            std::thread::sleep(short + Duration::from_millis(5));
            let begin = Instant::now();
            timer.sleep(Duration::from_millis(10)).await.unwrap();
            assert!(begin.elapsed() >= Duration::from_millis(10));
        }
    }
}
