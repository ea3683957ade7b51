//! For the tests of this folder.

use super::{parse, validate};

/// What is said of an experiment file: `accepted`, or the first mistake.
pub(super) fn message(text: &str) -> String {
    let checked = parse(text, "x.toml").and_then(|e| validate(&e));
    checked.map_or_else(|error| error.to_string(), |()| "accepted".into())
}
