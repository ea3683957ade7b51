//! Waiting for sockets and for the clock at once: one epoll instance, one timer.
//!
//! `epoll_wait` counts whole milliseconds. A `timerfd` is armed with nanoseconds and wakes the
//! same wait, at one more system call for each time that lies nearer than the one before.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Registry, Token, event::Event, unix::SourceFd};
use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};

/// Events that one look at the sockets brings at most; the rest comes with the next look.
const EVENTS: usize = 1024;

/// The timer's own token; sockets use others.
const TIMER: Token = Token(usize::MAX);

/// A wait shorter than this costs more than it saves: the sockets are looked at without sleeping.
const SHORTEST_SLEEP: Duration = Duration::from_micros(2);

/// Sockets and a timer, waited for together by one thread.
#[derive(Debug)]
pub(super) struct Reactor {
    poll: Poll,
    events: Events,
    timer: TimerFd,
    /// When the timer is going to fire, if it is armed.
    armed: Option<Instant>,
}

impl Reactor {
    /// A reactor without sockets.
    pub(super) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        // Edge-triggered, as all of mio: each expiry is one event, and nothing need be read.
        poll.registry().register(&mut SourceFd(&timer.as_fd().as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Self { poll, events: Events::with_capacity(EVENTS), timer, armed: None })
    }

    /// Where sockets are announced.
    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits for a socket, at most until `until`; only looks when that is past. May return early
    /// without any event.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> io::Result<()> {
        let now = Instant::now();
        let sleep = until.map(|until| until.saturating_duration_since(now));
        let look = match (sleep, until) {
            (Some(sleep), _) if sleep < SHORTEST_SLEEP => Some(Duration::ZERO),
            (Some(sleep), Some(until)) => {
                // Armed for an earlier time, it wakes once for nothing: cheaper than arming again.
                if self.armed.is_none_or(|armed| armed > until || armed <= now) {
                    let expiration = Expiration::OneShot(TimeSpec::from_duration(sleep));
                    self.timer.set(expiration, TimerSetTimeFlags::empty())?;
                    self.armed = Some(until);
                }
                None
            }
            _ => None,
        };
        match self.poll.poll(&mut self.events, look) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            other => other?,
        }
        Ok(())
    }

    /// The sockets that are ready since the last wait.
    pub(super) fn ready(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| event.token() != TIMER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until that time, however often the reactor returns early.
    fn sleep_until(reactor: &mut Reactor, until: Instant) {
        while Instant::now() < until {
            reactor.wait(Some(until)).unwrap();
        }
    }

    #[test]
    fn it_never_wakes_early_and_mostly_well_under_a_millisecond_late() {
        let mut reactor = Reactor::new().unwrap();
        let mut late_us: Vec<u128> = Vec::new();
        for step in 0..100u64 {
            let until = Instant::now() + Duration::from_micros(100 + step * 17);
            sleep_until(&mut reactor, until);
            late_us.push(until.elapsed().as_micros());
        }
        late_us.sort_unstable();
        // The median, since a busy machine may well disturb some of them.
        assert!(late_us[50] < 900, "median lateness {} us", late_us[50]);
    }

    #[test]
    fn a_nearer_time_rearms_the_timer_and_a_farther_one_is_not_cut_short() {
        let mut reactor = Reactor::new().unwrap();
        let begin = Instant::now();
        reactor.wait(Some(begin)).unwrap();
        reactor
            .timer
            .set(Expiration::OneShot(Duration::from_mins(1).into()), TimerSetTimeFlags::empty())
            .unwrap();
        reactor.armed = Some(begin + Duration::from_mins(1));
        sleep_until(&mut reactor, begin + Duration::from_millis(5));
        assert!(begin.elapsed() < Duration::from_secs(30), "the nearer time was not armed");
        // An expiry that nobody waited for must not end the next sleep early for good.
        std::thread::sleep(Duration::from_millis(5));
        let until = Instant::now() + Duration::from_millis(10);
        let mut wakes = 0;
        while Instant::now() < until {
            reactor.wait(Some(until)).unwrap();
            wakes += 1;
        }
        assert!(wakes <= 3, "{wakes} wakes for one sleep");
    }
}
