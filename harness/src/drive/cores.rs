//! Starting things on a chosen core.

use nix::{
    sched::{CpuSet, sched_getaffinity},
    unistd::Pid,
};

use super::{DriveError, audit};

/// Cores that this process may use, ascending; none where the kernel does not say.
fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|&core| set.is_set(core) == Ok(true)).collect()
}

/// Two cores for two things that must not disturb each other; none where there is only one.
pub fn apart() -> Option<(usize, usize)> {
    let cores = allowed();
    Some((*cores.first()?, *cores.last()?)).filter(|(first, last)| first != last)
}

/// Does `work` on a thread that is bound to `core`; threads and processes that it starts inherit
/// the binding (`sched_setaffinity(2)`). Without a core, on this thread.
///
/// # Errors
/// When this process may not use the core.
pub(super) fn on_core<T: Send>(
    core: Option<usize>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, DriveError> {
    let Some(core) = core else { return Ok(work()) };
    std::thread::scope(|scope| {
        let bound = scope.spawn(|| audit::pin(core).map(|()| work()));
        bound.join().unwrap_or(Err(DriveError::Lost))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_on_a_core_stays_there_and_the_caller_stays_free() {
        let before = allowed();
        let first = before[0];
        let seen = on_core(Some(first), || std::thread::spawn(allowed).join().unwrap()).unwrap();
        assert_eq!(seen, [first]);
        assert_eq!(allowed(), before);
        assert!(on_core(Some(usize::MAX), || ()).is_err());
    }
}
