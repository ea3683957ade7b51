//! What the jail says of itself: what holds a program, and what is missing.

use super::ground::{Ground, NAMESPACES};
use super::stage::{Bound, Processes};
use crate::workloads::grade::protocol::Enforced;

/// In the words of the answer.
pub(super) fn enforced(ground: Ground, bound: &Bound) -> Enforced {
    let mut missing = Vec::new();
    let mut lacks = |is_missing: bool, what: &str| {
        if is_missing {
            missing.push(what.to_owned());
        }
    };
    lacks(
        !ground.namespaces,
        "namespaces of its own: the kernel or the container forbids them; Landlock, seccomp and limits \
         alone hold a program",
    );
    lacks(bound.landlock_abi == 0, "Landlock: a program can read every file that the function can");
    lacks(!bound.seccomp, "seccomp: a program can use every system call, the network's included");
    lacks(
        bound.processes != Processes::Exactly,
        "an exact limit on processes: they are counted and ended, a moment late",
    );
    lacks(!ground.tmpfs, "a file system of its own: files are counted and the program ended, a moment late");
    let network = match (ground.namespaces, bound.seccomp) {
        (true, true) => "namespace, seccomp",
        (true, false) => "namespace",
        (false, true) => "seccomp",
        (false, false) => "none",
    };
    Enforced {
        namespaces: if ground.namespaces { NAMESPACES.map(str::to_owned).to_vec() } else { Vec::new() },
        own_user: ground.own_user,
        landlock_abi: bound.landlock_abi,
        seccomp: bound.seccomp,
        processes: match bound.processes {
            Processes::Exactly => "rlimit",
            Processes::Roughly => "watched, rlimit",
            Processes::Never => "watched",
        }
        .into(),
        disk: if ground.tmpfs { "tmpfs" } else { "watched" }.into(),
        memory: "watched".into(),
        network: network.into(),
        missing,
    }
}
