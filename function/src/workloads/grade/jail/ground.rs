//! Where a program runs: another user, namespaces, a file system of its own. Each is taken where
//! the kernel and the container's profile grant it.
//!
//! Sources: `user_namespaces(7)`, `pid_namespaces(7)`, `tmpfs(5)`.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

use super::Job;

/// Files and folders in a program's own file system, at most.
pub(super) const MAX_FILES: u64 = 4096;

/// What was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ground {
    /// The program's user is nobody else.
    pub own_user: bool,
    /// User, pid, mount, net, ipc and uts namespaces of its own.
    pub namespaces: bool,
    /// The folder is a file system of its own, of limited size, gone with the supervisor.
    pub tmpfs: bool,
}

/// The names of the namespaces that are taken, all or none.
pub(super) const NAMESPACES: [&str; 6] = ["user", "pid", "mount", "net", "ipc", "uts"];

impl Ground {
    /// Moves this process there. It must have one thread.
    ///
    /// # Errors
    /// If root cannot be given up, or the kernel stops half-way; in words.
    pub(super) fn enter(job: &Job) -> Result<Self, String> {
        // Before anything: whoever started this may die at any time.
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("no death signal: {error}"))?;
        if let Some(user) = job.user {
            give_up_root(user)?;
        }
        // What loses its parent comes to the supervisor, which ends it.
        prctl::set_child_subreaper(true).map_err(|error| format!("no subreaper: {error}"))?;
        let namespaces = take_namespaces()?;
        let tmpfs = namespaces && mount_folder(&job.folder, job.limits.disk_bytes);
        Ok(Self { own_user: job.user.is_some(), namespaces, tmpfs })
    }
}

fn give_up_root(user: u32) -> Result<(), String> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    setgroups(&[])
        .and_then(|()| setresgid(gid, gid, gid))
        .and_then(|()| setresuid(uid, uid, uid))
        // The change made this process untouchable, to itself as well.
        .and_then(|()| prctl::set_dumpable(true))
        // And it took the death signal away.
        .and_then(|()| prctl::set_pdeathsig(Signal::SIGKILL))
        .map_err(|error| {
            format!(
                "root cannot be given up for user {user}: {error}; let the container keep the \
                 capabilities SETUID and SETGID, or start the function as another user than root"
            )
        })
}

/// New namespaces for this process and its children (the pid namespace for its children alone).
fn take_namespaces() -> Result<bool, String> {
    let (uid, gid) = (geteuid(), getegid());
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    if unshare(all).is_err() {
        return Ok(false);
    }
    fs::write("/proc/self/setgroups", "deny")
        .and_then(|()| fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")))
        .and_then(|()| fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")))
        .map(|()| true)
        .map_err(|error| format!("the user namespace cannot be given a user: {error}"))
}

/// A file system in memory on the folder; nobody outside the mount namespace sees it.
fn mount_folder(folder: &Path, size_bytes: u64) -> bool {
    let none = None::<&str>;
    let options = format!("size={size_bytes},nr_inodes={MAX_FILES},mode=0700");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .and_then(|()| {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount(Some("tmpfs"), folder, Some("tmpfs"), flags, Some(options.as_str()))
        })
        .is_ok()
}
