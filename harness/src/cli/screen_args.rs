//! What a measurement shows while it goes on, and what an INVALID one means to a script.

use super::Exit;

/// Flags of `compare`, `run` and `load`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ScreenArgs {
    /// A bar and plain lines instead of the live screen
    #[arg(long, visible_alias = "plain")]
    pub no_live: bool,
    /// Exit with 0 instead of 3 where the measurement is INVALID; the word stays in the report
    #[arg(long)]
    pub allow_invalid: bool,
}

impl ScreenArgs {
    /// The exit code that these flags make of this one.
    pub fn exit(self, exit: Exit) -> Exit {
        if self.allow_invalid && exit == Exit::Invalid { Exit::Valid } else { exit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_invalid_is_forgiven_and_only_on_request() {
        let allowing = ScreenArgs { allow_invalid: true, ..ScreenArgs::default() };
        assert_eq!(
            [Exit::Invalid, Exit::Failed, Exit::Usage].map(|e| allowing.exit(e)),
            [Exit::Valid, Exit::Failed, Exit::Usage]
        );
        assert_eq!(ScreenArgs::default().exit(Exit::Invalid), Exit::Invalid);
    }
}
