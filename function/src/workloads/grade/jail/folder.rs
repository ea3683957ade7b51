//! The program's folder: what is put there, what is taken from it, how much lies in it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

use super::Job;
use super::ground::MAX_FILES;
use super::supervisor::text;

/// Copies the job's files into its folder.
///
/// # Errors
/// The first that cannot be copied, in words.
pub(super) fn place_files(job: &Job) -> Result<(), String> {
    for (from, name) in &job.files {
        fs::copy(from, job.folder.join(name))
            .map_err(|error| text(&format!("{name} cannot be placed"), &error))?;
    }
    Ok(())
}

/// Copies a result out of the folder. The program chose what lies there: only a file is taken.
pub(super) fn copy_out(from: &Path, to: &Path) -> io::Result<()> {
    let mut source =
        File::options().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(from)?;
    if !source.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut target = File::options().write(true).create_new(true).open(to)?;
    io::copy(&mut source, &mut target)?;
    target.set_permissions(fs::Permissions::from_mode(0o755))
}

/// The entries of a folder that the program has closed: what lies in it counts all the same.
fn opened(folder: &Path) -> io::Result<fs::ReadDir> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    fs::read_dir(folder)
}

/// Whether all that lies in a folder takes no more than so much.
pub(super) fn fits(folder: &Path, limit_bytes: u64) -> bool {
    let (mut folders, mut files, mut used_bytes) = (vec![folder.to_owned()], 0, 0);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder).or_else(|_| opened(&folder)) else { return false };
        for entry in entries.flatten() {
            // Gone meanwhile.
            let Ok(about) = entry.metadata() else { continue };
            files += 1;
            used_bytes += about.blocks() * 512;
            if about.is_dir() {
                folders.push(entry.path());
            }
            if files > MAX_FILES || used_bytes > limit_bytes {
                return false;
            }
        }
    }
    true
}
