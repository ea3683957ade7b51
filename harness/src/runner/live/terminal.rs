//! The terminal itself: a thread that draws at most four times a second and hears Ctrl-C.
//!
//! Raw mode keeps keys off the screen and swallows Ctrl-C, which is therefore sent on as the signal
//! that it would have been. The terminal is given back on every way out: the end, an error, a panic,
//! a second signal.

use std::{
    io::{self, BufWriter, IsTerminal as _, Stderr, stderr},
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size},
    },
};

use super::{draw::draw, scene::Stage};

/// Between two drawings.
const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether there is a terminal to draw on: standard error, in the foreground, that can do more than
/// write one line after the other.
pub(super) fn is_there() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    // A job in the background would be stopped if it changed the terminal's mode.
    let in_front = || std::fs::read_to_string("/proc/self/stat").is_ok_and(|stat| is_in_front(&stat));
    // One of no size at all is what some wrappers make: nothing could be seen on it.
    let room = || size().is_ok_and(|(columns, rows)| columns > 0 && rows > 0);
    stderr().is_terminal() && !dumb && in_front() && room()
}

/// Whether a process's group is the one that its terminal listens to, from its `stat` (proc(5)):
/// `PID (NAME) STATE PARENT GROUP SESSION TERMINAL FOREGROUND ...`; a name may hold anything.
fn is_in_front(stat: &str) -> bool {
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    fields.get(2).is_some_and(|group| fields.get(5) == Some(group))
}

/// The terminal while it is ours; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Screen {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal and draws the stage until it is dropped.
    pub(super) fn take(stage: Arc<Stage>) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            crate::interrupt::before_exit(give_back);
            let said_before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                said_before(panic);
            }));
        });
        enable_raw_mode()?;
        TAKEN.store(true, SeqCst);
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let started = execute!(stderr(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(BufWriter::new(stderr()))))
            .and_then(|terminal| {
                std::thread::Builder::new().name("screen".into()).spawn(move || show(terminal, &stage, &seen))
            });
        match started {
            Ok(thread) => Ok(Self { over, thread: Some(thread) }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the thread was printed already.
            let _ = thread.join();
        }
        give_back();
    }
}

/// Gives the terminal back, once; does nothing if it is not ours.
fn give_back() {
    if TAKEN.swap(false, SeqCst) {
        // Nothing is left to try if the terminal refuses.
        let _ = disable_raw_mode();
        let _ = execute!(stderr(), LeaveAlternateScreen, Show);
    }
}

fn show(mut terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>, stage: &Stage, over: &AtomicBool) {
    while !over.load(SeqCst) && TAKEN.load(SeqCst) {
        let view = stage.view();
        // A terminal that went away ends the drawing, not the measurement.
        if terminal.draw(|frame| draw(frame, &view)).is_err() {
            return;
        }
        let next = Instant::now() + REDRAW_EVERY;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            if over.load(SeqCst) {
                return;
            }
            // In short steps, so that the end of a load is not kept waiting.
            match event::poll(left.min(REDRAW_EVERY / 5)) {
                Ok(true) => hear(stage),
                Ok(false) => {}
                Err(_) => std::thread::park_timeout(left),
            }
        }
    }
}

/// Takes one event; Ctrl-C becomes the signal that it is without raw mode.
fn hear(stage: &Stage) {
    let Ok(Event::Key(key)) = event::read() else { return };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if is_interrupt && key.kind == KeyEventKind::Press {
        stage.stopping();
        // A process may always send itself a signal.
        let _ = kill(Pid::this(), Signal::SIGINT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_in_the_background_is_told_from_one_in_front() {
        assert!(is_in_front("77 (a) name) S 1 77 70 34816 77 4194304 1 2"));
        assert!(!is_in_front("77 (sh) S 1 77 70 34816 70 4194304"), "its shell is in front");
        assert!(!is_in_front("77 (sh) S 1 77 70 0 -1 4194304"), "it has no terminal");
        assert!(!is_in_front(""));
    }
}
