//! Brings queued events to a subscriber: several at a time, each until it is taken, refused for
//! good, or has failed too often.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{HOST, HeaderName, HeaderValue},
};
use tokio::sync::{Mutex, mpsc};

use super::{
    super::plane::http::{self, Body, Upstream},
    BrokerOptions, Ledger, MOST_TIMES,
    event::Event,
};
use crate::drive::Endpoint;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the tasks of one subscriber share.
pub(super) struct Dispatcher {
    /// None: the subscriber's address cannot be used, so every attempt fails.
    upstream: Option<Arc<Upstream>>,
    path: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    options: BrokerOptions,
    queue: Mutex<mpsc::Receiver<Arc<Event>>>,
    ledger: Arc<Ledger>,
}

/// How an attempt ended.
enum Attempt {
    Taken,
    Refused,
    Failed,
}

impl Dispatcher {
    pub(super) fn start(
        subscriber: &Endpoint,
        options: BrokerOptions,
        queue: mpsc::Receiver<Arc<Event>>,
        ledger: &Arc<Ledger>,
    ) {
        let uri: Uri = subscriber.url.parse().unwrap_or_default();
        let address: Option<SocketAddr> =
            uri.authority().and_then(|authority| authority.as_str().parse().ok());
        let given = subscriber.headers.iter();
        let header = |(name, value): &(String, String)| {
            Some((name.to_ascii_lowercase().parse().ok()?, HeaderValue::try_from(value).ok()?))
        };
        let mut headers: Vec<(HeaderName, HeaderValue)> = given.filter_map(header).collect();
        if let Some(address) = address.filter(|_| !headers.iter().any(|(name, _)| name == HOST)) {
            headers.extend(HeaderValue::try_from(address.to_string()).ok().map(|value| (HOST, value)));
        }
        let path = uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
        let dispatcher = Arc::new(Self {
            upstream: address.map(Upstream::new),
            path,
            headers,
            options,
            queue: Mutex::new(queue),
            ledger: Arc::clone(ledger),
        });
        for _ in 0..options.deliveries.max(1) {
            tokio::spawn(Arc::clone(&dispatcher).run());
        }
    }

    async fn run(self: Arc<Self>) {
        loop {
            // The lock is held while waiting: whoever has it gets the next event.
            let Some(event) = self.queue.lock().await.recv().await else { return };
            let was_taken = self.deliver(&event).await;
            let mut entries = self.ledger.lock();
            entries.counts.queued -= 1;
            if was_taken {
                entries.counts.delivered += 1;
                if entries.times_ms.len() < MOST_TIMES {
                    entries.times_ms.extend(event.age_ms());
                }
            } else {
                entries.counts.lost += 1;
            }
        }
    }

    async fn deliver(&self, event: &Event) -> bool {
        let mut pause = self.options.first_pause;
        for left in (0..=self.options.retries).rev() {
            let attempt = tokio::time::timeout(self.options.timeout, self.attempt(event)).await;
            match attempt {
                Ok(Attempt::Taken) => return true,
                Ok(Attempt::Refused) => return false,
                Ok(Attempt::Failed) | Err(_) if left == 0 => return false,
                Ok(Attempt::Failed) | Err(_) => {}
            }
            self.ledger.lock().counts.retried += 1;
            let until = Instant::now() + pause;
            tokio::time::sleep_until(until.into()).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        false
    }

    async fn attempt(&self, event: &Event) -> Attempt {
        let Some(upstream) = &self.upstream else { return Attempt::Refused };
        let mut request: Request<Body> = Request::new(http::full(event.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        let headers = event.headers.iter().chain(&self.headers);
        request.headers_mut().extend(headers.cloned());
        let Ok(response) = upstream.send(request).await else { return Attempt::Failed };
        let status = response.status();
        // Read to its end, so that the connection can be used again.
        if response.into_body().collect().await.is_err() {
            return Attempt::Failed;
        }
        if status.is_success() {
            Attempt::Taken
        } else if may_pass(status) {
            Attempt::Failed
        } else {
            Attempt::Refused
        }
    }
}

/// Statuses after which Knative's dispatchers try again (`pkg/kncloudevents/retries.go`).
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 404 | 408 | 409 | 429)
}
