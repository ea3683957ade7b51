//! Which files a program may touch, by Landlock. What is not named here it cannot open: not the
//! function's files, not `/proc`, not `/etc`.
//!
//! Source: the kernel's `Documentation/userspace-api/landlock.rst`.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::Job;

/// The newest version whose rights are known here; older kernels enforce what they can.
const VERSION: ABI = ABI::V6;

/// Binds this process and its descendants for good. Gives Landlock's version in the kernel, 0 if
/// there is none.
///
/// # Errors
/// If Landlock is there and refuses.
pub(super) fn restrict(job: &Job) -> Result<u32, String> {
    let folder = PathFd::new(&job.folder).map_err(|error| error.to_string())?;
    bind(job, folder).map_err(|error| error.to_string())
}

fn bind(job: &Job, folder: PathFd) -> Result<u32, RulesetError> {
    let all = AccessFs::from_all(VERSION);
    // Devices and sockets are nothing that a program has to make.
    let own = all & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::IoctlDev);
    let ruleset = Ruleset::default()
        .handle_access(all)?
        .scope(Scope::from_all(VERSION))?
        .create()?
        .add_rules(path_beneath_rules(&job.readable, AccessFs::from_read(VERSION)))?
        .add_rules(path_beneath_rules(&job.devices, AccessFs::ReadFile))?
        .add_rules(path_beneath_rules([Path::new("/dev/null")], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rule(PathBeneath::new(folder, own))?;
    let status = ruleset.restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            effective_abi as u32
        }
        _ => 0,
    })
}
