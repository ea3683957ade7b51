//! A request's private folder, removed whatever lies in it, and the users that programs become.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::unistd::geteuid;

/// Users beyond those that systems give out; chosen by chance, so that two functions do not meet.
const MANY: std::ops::Range<u32> = 0x4000_0000..0x7fff_0000;
/// Where the user namespace is too small for those: numbers that systemd leaves free.
const FEW: std::ops::Range<u32> = 60_578..61_184;

/// Users that submissions can become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Users(std::ops::Range<u32>);

/// Why submissions can become nobody.
#[derive(Debug, thiserror::Error)]
#[error(
    "the function runs as root in a user namespace without users for submissions ({0}); start it as \
     another user than root"
)]
pub(super) struct NoUsers(String);

impl Users {
    /// Those of this machine; none if the function is not root and so cannot become others.
    ///
    /// # Errors
    /// If it is root, but there is nobody else.
    pub(super) fn of_this_machine() -> Result<Option<Self>, NoUsers> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self::in_map(&map).map(Some).ok_or_else(|| NoUsers(map.trim().to_owned()))
    }

    /// The map's lines are: first user inside, first user outside, how many.
    fn in_map(map: &str) -> Option<Self> {
        let holds = |wanted: &std::ops::Range<u32>| {
            map.lines().any(|line| {
                let mut numbers = line.split_whitespace().map(str::parse::<u64>);
                let (Some(Ok(first)), Some(_), Some(Ok(count))) =
                    (numbers.next(), numbers.next(), numbers.next())
                else {
                    return false;
                };
                first <= u64::from(wanted.start) && u64::from(wanted.end) <= first + count
            })
        };
        [MANY, FEW].into_iter().find(holds).map(Self)
    }
}

/// A folder of one request. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    user: Option<u32>,
    boxes: AtomicU32,
}

impl Scratch {
    /// Makes one, which only the function (and the user of its programs) may enter.
    pub(super) fn new(users: Option<&Users>) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("grade-{:016x}", rand::random::<u64>()));
        private_folder(&folder)?;
        let user = users.map(|Users(range)| rand::random_range(range.clone()));
        let scratch = Self { folder, user, boxes: AtomicU32::new(0) };
        scratch.give(&scratch.folder)?;
        Ok(scratch)
    }

    /// The user that its programs become.
    pub(super) fn user(&self) -> Option<u32> {
        self.user
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts a file into it.
    pub(super) fn add(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, bytes)?;
        self.give(&path)?;
        Ok(path)
    }

    /// An empty folder in it, for one run.
    pub(super) fn new_box(&self) -> io::Result<PathBuf> {
        let path = self.path(&format!("box-{}", self.boxes.fetch_add(1, Ordering::Relaxed)));
        private_folder(&path)?;
        self.give(&path)?;
        Ok(path)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        chown(path, self.user, self.user)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            eprintln!("function: {} is left behind: {error}", self.folder.display());
        }
    }
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes a folder whose owner may have closed folders in it against himself.
fn remove(folder: &Path) -> io::Result<()> {
    if fs::remove_dir_all(folder).is_ok() {
        return Ok(());
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)?.flatten() {
            // Of links only the links themselves matter.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_taken_where_the_namespace_has_them() {
        assert_eq!(Users::in_map("         0          0 4294967295\n"), Some(Users(MANY)));
        assert_eq!(Users::in_map("0 100000 65536\n"), Some(Users(FEW)));
        assert_eq!(Users::in_map("0 1000 1\n"), None);
        assert_eq!(Users::in_map(""), None);
    }

    #[test]
    fn a_folder_is_removed_though_folders_in_it_are_closed_and_links_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let scratch = Scratch::new(None).unwrap();
        let (folder, a_box) = (scratch.folder.clone(), scratch.new_box().unwrap());
        fs::create_dir_all(a_box.join("a/b")).unwrap();
        std::os::unix::fs::symlink(outside.path(), a_box.join("a/out")).unwrap();
        fs::set_permissions(a_box.join("a/b"), fs::Permissions::from_mode(0)).unwrap();
        fs::set_permissions(a_box.join("a"), fs::Permissions::from_mode(0)).unwrap();
        drop(scratch);
        assert!(!folder.exists());
        assert!(outside.path().join("kept").exists());
    }
}
