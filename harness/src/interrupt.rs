//! Ctrl-C, as a value that every long-running stage can ask or await.

use std::sync::OnceLock;

use tokio::sync::watch;

/// What is to be put in order before a second signal ends the process.
static BEFORE_EXIT: OnceLock<fn()> = OnceLock::new();

/// Has this done before a second signal ends the process, which runs nothing else any more: giving
/// the terminal back, say. The first call counts.
pub fn before_exit(put_in_order: fn()) {
    let _ = BEFORE_EXIT.set(put_in_order);
}

/// Says whether the user asked to stop. Clones share the state.
#[derive(Debug, Clone)]
pub struct Interrupt {
    seen: watch::Receiver<bool>,
}

/// Raises an [`Interrupt`].
#[derive(Debug)]
pub struct Raise {
    flag: watch::Sender<bool>,
}

impl Raise {
    /// Tells everybody who holds the interrupt to stop.
    pub fn raise(&self) {
        self.flag.send_replace(true);
    }
}

impl Interrupt {
    /// An interrupt and the handle that raises it.
    pub fn new() -> (Raise, Self) {
        let (flag, seen) = watch::channel(false);
        (Raise { flag }, Self { seen })
    }

    /// One that never comes.
    pub fn never() -> Self {
        Self::new().1
    }

    /// One that SIGINT or SIGTERM raises. A second signal ends the process at once (exit 130).
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (raise, interrupt) = Self::new();
        let mut int = signal(SignalKind::interrupt())?;
        let mut term = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! { _ = int.recv() => (), _ = term.recv() => () }
            };
            next().await;
            raise.raise();
            next().await;
            if let Some(put_in_order) = BEFORE_EXIT.get() {
                put_in_order();
            }
            std::process::exit(130);
        });
        Ok(interrupt)
    }

    /// Whether it has been raised.
    pub fn is_raised(&self) -> bool {
        *self.seen.borrow()
    }

    /// Resolves when it is raised; never, if it cannot be any more.
    pub async fn raised(&self) {
        let mut seen = self.seen.clone();
        if seen.wait_for(|&raised| raised).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
