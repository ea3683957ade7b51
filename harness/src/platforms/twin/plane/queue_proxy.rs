//! Knative's queue-proxy: one in front of each replica. Lets `containerConcurrency` requests
//! through, queues ten times that, refuses the rest with 503.
//!
//! After knative/serving `pkg/queue/breaker.go`; without a limit it only forwards.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hyper::{Request, StatusCode, body::Incoming};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

use super::http::{self, Answer, Upstream};

/// What a queue-proxy says when its queue is full (and the activator when its own is).
pub const QUEUE_FULL: &str = "pending request queue full";

/// Requests that may wait, as a multiple of those let through.
const QUEUE_FACTOR: u32 = 10;

/// Settings of every queue-proxy of a revision.
#[derive(Debug, Clone, Copy)]
pub struct QueueProxy {
    /// Requests let through at once; 0 = no limit.
    pub container_concurrency: u32,
    /// How long the function may take.
    pub request_timeout: Duration,
}

impl QueueProxy {
    /// Opens one in front of a function; aborting the handle closes its listener.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(self, function: SocketAddr) -> io::Result<(SocketAddr, AbortHandle)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let breaker = (self.container_concurrency > 0).then(|| Breaker::new(self.container_concurrency));
        let upstream = Upstream::new(function);
        let serving = http::serve(listener, move |request, _| {
            forward(request, Arc::clone(&upstream), breaker.clone(), self.request_timeout)
        });
        Ok((address, tokio::spawn(serving).abort_handle()))
    }
}

async fn forward(
    request: Request<Incoming>,
    upstream: Arc<Upstream>,
    breaker: Option<Breaker>,
    limit: Duration,
) -> Answer {
    let work = async {
        let pass = match breaker {
            None => None,
            Some(breaker) => match breaker.enter().await {
                Some(pass) => Some(pass),
                None => return http::go_error(StatusCode::SERVICE_UNAVAILABLE, QUEUE_FULL),
            },
        };
        match upstream.send(http::forwardable(request)).await {
            Ok(mut response) => {
                http::strip_connection_headers(response.headers_mut());
                response.map(|body| http::guarded(body, pass))
            }
            Err(error) => http::go_error(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    };
    let timely = tokio::time::timeout(limit, work).await;
    Ok(timely.unwrap_or_else(|_| http::text(StatusCode::GATEWAY_TIMEOUT, "request timeout")))
}

/// Counts those inside and those in the queue.
#[derive(Debug, Clone)]
struct Breaker {
    permits: Arc<Semaphore>,
    present: Arc<AtomicU32>,
    capacity: u32,
}

/// A place inside; dropping it lets the next one in.
#[derive(Debug)]
struct Pass {
    /// Dropped before the place is counted as free.
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

#[derive(Debug)]
struct Place(Arc<AtomicU32>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Breaker {
    fn new(concurrency: u32) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(concurrency as usize)),
            present: Arc::default(),
            capacity: concurrency * (1 + QUEUE_FACTOR),
        }
    }

    /// Waits for a place inside, first come first served; none if the queue is full.
    async fn enter(&self) -> Option<Pass> {
        let place = Place(Arc::clone(&self.present));
        if self.present.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            return None;
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        Some(Pass { _permit: permit, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn it_lets_the_limit_in_queues_ten_times_that_and_refuses_the_next() {
        let breaker = Breaker::new(2);
        let mut inside: Vec<_> = (0..2).map(|_| breaker.enter().now_or_never().flatten().unwrap()).collect();
        let mut queued: Vec<_> = (0..20).map(|_| Box::pin(breaker.enter())).collect();
        assert!(queued.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert!(matches!(breaker.enter().now_or_never(), Some(None)), "the 23rd is refused");
        inside.pop();
        assert!(queued.remove(0).now_or_never().flatten().is_some(), "the first in the queue is next");
    }

    #[test]
    fn who_gives_up_waiting_makes_room() {
        let breaker = Breaker::new(1);
        let _inside = breaker.enter().now_or_never().flatten().unwrap();
        let mut queued: Vec<_> = (0..10).map(|_| Box::pin(breaker.enter())).collect();
        assert!(queued.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        queued.pop();
        assert!(Box::pin(breaker.enter()).now_or_never().is_none(), "waits instead of being refused");
    }
}
