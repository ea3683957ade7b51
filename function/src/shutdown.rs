//! The orderly end: health fails at once, requests that still arrive are served for a while,
//! then no new ones, and the last ones are finished.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::server::Service;

/// The signals that end the function. From its making on they no longer kill the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for SIGTERM, then for `drain` (a platform takes so long to stop sending here), then
    /// stops the server. SIGINT, from a terminal, does without the wait or cuts it short.
    pub async fn stop_in_order(mut self, service: Arc<Service>, server: ServerHandle, drain: Duration) {
        tokio::select! {
            _ = self.terminate.recv() => {
                service.start_draining();
                tokio::select! {
                    () = tokio::time::sleep(drain) => {}
                    _ = self.interrupt.recv() => {}
                }
            }
            _ = self.interrupt.recv() => service.start_draining(),
        }
        server.stop(true).await;
    }
}
