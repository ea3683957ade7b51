//! A folder of our own for large blobs, removed when its last user is gone.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// A private folder in the system's temporary folder.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty folder that nobody else may enter.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn new() -> io::Result<Arc<Self>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("harness-image-{}-{n}", std::process::id()));
            // Fails on any existing name, a link that somebody put there included.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Arc::new(Self { path })),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is there to hear that a temporary folder could not be removed.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_folders_differ_and_go_with_their_users() {
        let (a, b) = (Scratch::new().unwrap(), Scratch::new().unwrap());
        let path = a.path().to_path_buf();
        assert_ne!(path, b.path());
        fs::write(path.join("x"), "1").unwrap();
        drop(a);
        assert!(!path.exists() && b.path().exists());
    }
}
