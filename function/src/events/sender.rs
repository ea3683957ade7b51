//! Posts events: one task a connection, each with one event at a time, which it tries until the sink
//! has taken it, will not have it, or the attempts are used up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::RETRY_AFTER;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use super::config::{Sending, Sink};
use super::metrics::{EventMetrics, Loss};
use super::{Event, Fate, binding};

/// Most that is read of a sink's answer; nobody looks at it, but a connection is used again only
/// when it was read to its end.
const MOST_ANSWER_BYTES: usize = 64 << 10;

/// What the tasks share.
struct Shared {
    sending: Sending,
    template: HeaderMap,
    waiting: Mutex<mpsc::Receiver<Event>>,
    metrics: EventMetrics,
    open: watch::Sender<usize>,
}

/// Starts one task a connection on the caller's runtime.
pub(super) fn start(
    sending: &Sending,
    template: HeaderMap,
    waiting: mpsc::Receiver<Event>,
    metrics: &EventMetrics,
    open: &watch::Sender<usize>,
) -> Vec<JoinHandle<()>> {
    let shared = Arc::new(Shared {
        sending: sending.clone(),
        template,
        waiting: Mutex::new(waiting),
        metrics: metrics.clone(),
        open: open.clone(),
    });
    (0..sending.connections).map(|_| tokio::spawn(Arc::clone(&shared).run())).collect()
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut connection = Connection { sink: self.sending.sink.clone(), idle: None };
        loop {
            // The lock is held while waiting: whoever has it gets the next event.
            let Some(event) = self.waiting.lock().await.recv().await else { return };
            self.metrics.buffer_length.dec();
            let fate = self.deliver(&mut connection, &event).await;
            match fate {
                Fate::Delivered => self.metrics.delivered_after(event.made_at.elapsed()),
                Fate::Dropped(why) => self.metrics.dropped(why),
            }
            self.open.send_modify(|open| *open -= 1);
            if let Some(reply) = event.reply {
                // An error means that the caller has left meanwhile.
                let _ = reply.send(fate);
            }
        }
    }

    async fn deliver(&self, connection: &mut Connection, event: &Event) -> Fate {
        let Sending { retries, backoff, timeout, .. } = self.sending;
        let mut failed = 0;
        loop {
            let posted = tokio::time::timeout(timeout, connection.post(&self.template, event)).await;
            let wished = match posted {
                Ok(Ok(taken)) if taken.status.is_success() => return Fate::Delivered,
                Ok(Ok(taken)) if !may_pass(taken.status) => return Fate::Dropped(Loss::Refused),
                Ok(Ok(taken)) => taken.retry_after,
                // Broken, or too slow; dropping the attempt has closed its connection.
                Ok(Err(_)) | Err(_) => None,
            };
            failed += 1;
            if failed > retries {
                return Fate::Dropped(Loss::RetriesExhausted);
            }
            let pause = backoff.pause(failed, rand::random());
            tokio::time::sleep(pause.max(wished.unwrap_or_default().min(backoff.longest))).await;
            self.metrics.retried.inc();
        }
    }
}

/// Whether a further attempt may be met by another answer.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// What a sink said.
struct Taken {
    status: StatusCode,
    /// `Retry-After`, where it is a number of seconds.
    retry_after: Option<Duration>,
}

/// A connection to the sink, kept between events.
struct Connection {
    sink: Sink,
    idle: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    async fn post(&mut self, template: &HeaderMap, event: &Event) -> anyhow::Result<Taken> {
        let mut request = Request::new(Full::new(event.data.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.sink.path.parse()?;
        *request.headers_mut() = binding::headers(template, event);
        let (mut sender, response) = match self.idle.take() {
            Some(mut kept) => match kept.try_send_request(request).await {
                Ok(response) => (kept, response),
                Err(mut error) => match error.take_message() {
                    // The sink had closed it and nothing was sent: that is no failed attempt.
                    Some(unsent) => self.post_anew(unsent).await?,
                    None => return Err(error.into_error().into()),
                },
            },
            None => self.post_anew(request).await?,
        };
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let status = response.status();
        let read = Limited::new(response.into_body(), MOST_ANSWER_BYTES).collect().await;
        if read.is_ok() && sender.ready().await.is_ok() {
            self.idle = Some(sender);
        }
        Ok(Taken { status, retry_after })
    }

    async fn post_anew(
        &self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(SendRequest<Full<Bytes>>, hyper::Response<hyper::body::Incoming>)> {
        let stream = TcpStream::connect((self.sink.host.as_str(), self.sink.port)).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        Ok((sender, response))
    }
}
