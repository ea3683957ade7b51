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

/// Removes a folder, whatever lies in it.
fn remove(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder).or_else(|_| remove_by_moving(folder))
}

/// Removes a folder whose owner may have closed folders in it against himself, or made a tree
/// deeper than a path can be long: all folders are first moved up to the top.
fn remove_by_moving(folder: &Path) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    let mut done = 0;
    while let Some(inner) = folders.get(done).cloned() {
        done += 1;
        for entry in fs::read_dir(&inner)?.flatten() {
            // Of links only the links themselves matter.
            if entry.file_type()?.is_dir() {
                // To be moved it must be open.
                fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700))?;
                let moved = folder.join(format!("removed-{:016x}", rand::random::<u64>()));
                fs::rename(entry.path(), &moved)?;
                folders.push(moved);
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    // Each is empty now, the outermost last.
    folders.iter().rev().try_for_each(fs::remove_dir)
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
        fs::set_permissions(a_box.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(a_box.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        drop(scratch);
        assert!(!folder.exists());
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn a_tree_deeper_than_a_path_can_be_long_is_removed() {
        let scratch = Scratch::new(None).unwrap();
        let (name, above) = ("d".repeat(200), scratch.path("above"));
        let tree = scratch.path(&name);
        fs::create_dir(&tree).unwrap();
        for _ in 0..30 {
            fs::create_dir(&above).unwrap();
            fs::write(above.join("file"), "x").unwrap();
            fs::rename(&tree, above.join(&name)).unwrap();
            fs::rename(&above, &tree).unwrap();
        }
        assert!((0..31).fold(tree.clone(), |path, _| path.join(&name)).metadata().is_err());
        remove_by_moving(&scratch.folder).unwrap();
        assert!(!scratch.folder.exists());
        fs::create_dir(&scratch.folder).unwrap();
    }
}
