//! `harness models verify`: every file that is there against its size and sha256.

use std::fmt::Write as _;

use models::{Manifest, Places};

use super::Entry;

/// The report, and whether every file is right.
pub(super) fn verify(manifest: &Manifest, places: &Places) -> (String, bool) {
    let (mut text, mut right, mut wrong) = (String::new(), 0, 0);
    let mut unverified = 0;
    // Writing to a String cannot fail.
    for item in Entry::all(manifest).flat_map(Entry::items) {
        for (path, _) in places.look_up(&item) {
            match item.check(&path) {
                Ok(()) if item.contents.is_none() => {
                    unverified += 1;
                    let _ = writeln!(
                        text,
                        "?      {}: the manifest has no sha256 to compare with",
                        path.display()
                    );
                }
                Ok(()) => {
                    right += 1;
                    let _ = writeln!(text, "ok     {}", path.display());
                }
                Err(error) => {
                    wrong += 1;
                    let _ = writeln!(text, "WRONG  {error}");
                }
            }
        }
    }
    let _ = match (right, wrong, unverified) {
        (0, 0, 0) => writeln!(text, "nothing is there yet; run `harness models fetch`"),
        (_, _, 0) => writeln!(text, "{right} right, {wrong} wrong"),
        _ => writeln!(text, "{right} right, {wrong} wrong, {unverified} that nobody has verified"),
    };
    (text, wrong == 0)
}
