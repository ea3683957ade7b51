//! The thread that looks at the machine a few times a second while a cell runs.
//!
//! It keeps off the generator's core where there is another one.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::resource::UsageWho,
    unistd::{Pid, gettid},
};

use super::{
    cpu_seconds,
    host::Host,
    machine::{Fold, MachineAudit, unreadable},
};

/// Between two looks. Four a second see a short peak of sockets; each costs a few dozen reads of
/// `/proc`, some 0.1 to 0.3 ms of CPU on another core (`looking_cpu_seconds` says what it was).
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks at the machine until it is asked for what it saw, or dropped.
#[derive(Debug)]
pub(in crate::drive) struct Watch {
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<MachineAudit>>,
}

impl Watch {
    /// Begins to watch the machine and the calling thread, which is the generator's, and is or will
    /// be bound to `core`.
    pub(in crate::drive) fn start(core: Option<usize>) -> Self {
        let generator = gettid();
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || watch(generator, core, &stopped))
            // No thread to be had: the audit then says that nobody looked.
            .ok();
        Self { stop, thread }
    }

    /// Looks a last time, and says what was seen.
    pub(in crate::drive) fn finish(mut self) -> MachineAudit {
        // It ends at once if it has ended already.
        let _ = self.stop.send(());
        let seen = self.thread.take().and_then(|thread| thread.join().ok());
        seen.unwrap_or_else(|| Fold::default().finish(super::machine::Limits::default(), 0.0))
    }
}

fn watch(generator: Pid, core: Option<usize>, stopped: &mpsc::Receiver<()>) -> MachineAudit {
    let allowed = allowed_cores();
    if let Some(core) = core {
        keep_off(core, &allowed);
    }
    let host = Host::new(generator, core.map_or(allowed, |core| vec![core]));
    let mut fold = Fold::default();
    let mut due = Instant::now();
    loop {
        let mut reading = host.look();
        reading.late_ns = Instant::now().saturating_duration_since(due).as_nanos() as u64;
        fold.add(reading);
        due = Instant::now() + LOOK_EVERY;
        match stopped.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            // The generator is gone without a word: nobody will ask.
            Err(RecvTimeoutError::Disconnected) => break,
            Ok(()) => {
                fold.add(host.look());
                break;
            }
        }
    }
    fold.finish(host.limits(), cpu_seconds(UsageWho::RUSAGE_THREAD))
}

/// Confines the calling thread to the other cores, if there are any.
fn keep_off(core: usize, allowed: &[usize]) {
    let mut others = CpuSet::new();
    let kept = allowed.iter().filter(|&&other| other != core && others.set(other).is_ok()).count();
    if kept > 0 {
        // Refused: it then looks from the generator's core, at the same small price.
        let _ = sched_setaffinity(Pid::from_raw(0), &others);
    }
}

/// The cores that the calling thread may use.
pub(super) fn allowed_cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|&core| set.is_set(core) == Ok(true)).collect()
}

/// What this machine does not tell of itself, in words: said once before a run.
pub fn blind_spots() -> Vec<String> {
    unreadable(&Host::new(gettid(), allowed_cores()).look())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_is_watched_from_its_first_look_to_its_last() {
        let watch = Watch::start(None);
        let begin = Instant::now();
        let mut sum = 0u64;
        while begin.elapsed() < LOOK_EVERY * 3 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let audit = watch.finish();
        assert!(audit.looks >= 2 && audit.seconds > 0.2, "{audit:?}");
        assert!(audit.open_files_limit.unwrap() >= audit.open_files_most.unwrap());
        assert!(audit.looking_cpu_seconds < 0.1 * audit.seconds, "{audit:?}");
        if let Some(scheduling) = audit.scheduling {
            assert!((0.0..=1.01).contains(&scheduling.waited_share), "{audit:?}");
        }
    }

    #[test]
    fn it_looks_from_another_core_than_the_generators() {
        let allowed = allowed_cores();
        std::thread::spawn(move || {
            keep_off(allowed[0], &allowed);
            let left = allowed_cores();
            assert_eq!(left, if allowed.len() > 1 { allowed[1..].to_vec() } else { allowed });
        })
        .join()
        .unwrap();
    }
}
