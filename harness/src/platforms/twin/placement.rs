//! Which cores the load generator gets and which the stand-in gets.

use std::sync::OnceLock;

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// Cores by number, as the kernel counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The core that the load generator has for itself; none where there is only one.
    pub generator_core: Option<usize>,
    /// The cores of the data plane and the functions.
    pub rest: Vec<usize>,
    /// What the reader of a report must know about it, if anything.
    pub notice: Option<String>,
}

/// Divides the cores that this process may use. The answer is that of the first call, so that
/// pinning the generator later does not change it.
pub fn placement() -> Placement {
    static PLACEMENT: OnceLock<Placement> = OnceLock::new();
    PLACEMENT.get_or_init(|| divide(&allowed())).clone()
}

/// The first core to the generator, the others to the rest.
fn divide(allowed: &[usize]) -> Placement {
    match allowed {
        [] => Placement {
            generator_core: None,
            rest: Vec::new(),
            notice: Some("the allowed cores could not be read: nothing is pinned".to_owned()),
        },
        [only] => Placement {
            generator_core: None,
            rest: vec![*only],
            notice: Some(
                "one core only: the load generator shares it with what it measures, so latencies contain \
                 its own work"
                    .to_owned(),
            ),
        },
        [first, rest @ ..] => Placement { generator_core: Some(*first), rest: rest.to_vec(), notice: None },
    }
}

/// Cores that the main thread may use (other threads may be pinned already).
fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::this()) else { return Vec::new() };
    (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false)).collect()
}

/// Confines this thread, and every thread and process that it starts later, to these cores.
///
/// # Errors
/// When none of the cores is allowed to this process.
pub fn confine(cores: &[usize]) -> nix::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gets_the_first_allowed_core_and_the_rest_all_others() {
        let placement = divide(&[2, 3, 7]);
        assert_eq!((placement.generator_core, placement.rest), (Some(2), vec![3, 7]));
        assert_eq!(placement.notice, None);
    }

    #[test]
    fn a_single_core_is_shared_and_that_is_said() {
        let placement = divide(&[5]);
        assert_eq!((placement.generator_core, placement.rest), (None, vec![5]));
        assert!(placement.notice.unwrap().contains("one core"));
    }
}
