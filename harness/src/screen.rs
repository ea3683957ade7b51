//! Lines for people and scripts. A reader who has seen enough (`| head`) ends no run: what cannot be
//! written to a closed pipe is left out, and whatever was measured still reaches the disk. Output that
//! is lost otherwise (a full disk) is said, and the exit code is 1.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering},
};

static LOST: AtomicBool = AtomicBool::new(false);

/// Writes a line to the standard output; see [`crate::screen`].
macro_rules! out {
    ($($text:tt)*) => { $crate::screen::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes text without a line's end to the standard output; see [`crate::screen`].
macro_rules! show {
    ($($text:tt)*) => { $crate::screen::write_out(format_args!($($text)*)) };
}

/// Writes a line to the standard error; see [`crate::screen`].
macro_rules! note {
    ($($text:tt)*) => { $crate::screen::write_note(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {note, out, show};

/// Whether output was lost, other than to a reader who has gone.
pub(crate) fn has_lost_output() -> bool {
    LOST.load(Ordering::Relaxed)
}

pub(crate) fn write_out(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        note!("error: the output cannot be written ({error}); name a place with room");
    }
}

pub(crate) fn write_note(text: Arguments<'_>) {
    // There is no better place to complain than the one that could not be written to.
    let _ = std::io::stderr().lock().write_fmt(text);
}
