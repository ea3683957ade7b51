//! Somebody else's words (a server's message, a library's error), fit for one line of ours.

use std::error::Error;

/// The words on one line.
pub fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The last cause of an error, on one line: transports wrap "connection refused" many times over.
pub fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    one_line(&cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_cause_stands_on_one_line() {
        let inner = std::io::Error::other("connection\n  refused");
        let outer = anyhow::Error::new(inner).context("sending").context("asking");
        assert_eq!(innermost(outer.as_ref()), "connection refused");
    }
}
