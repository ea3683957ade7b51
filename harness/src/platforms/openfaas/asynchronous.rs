//! Asynchronous calls: submitted to the gateway, answered to a small receiver here, and measured
//! from the submission to the call-back. Editions without a queue say so.
//!
//! A call-back carries the call's id, the function's answer as its body, and the function's status
//! and duration as headers (OpenFaaS documentation, "Async"). It may come before the gateway has
//! answered the submission, so the id is made here and given along.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::gateway::{Gateway, GatewayError, told};
use crate::drive::Payload;

/// Calls that the Community Edition's queue holds, in memory.
pub const QUEUE_ITEMS: usize = 10;
/// Largest body that it takes, bytes.
pub const QUEUE_BODY_BYTES: usize = 256 * 1024;
/// Deadline of a submission.
const SUBMIT_LIMIT: Duration = Duration::from_secs(20);

/// Why calls were not made. Messages name the remedy.
#[derive(Debug, thiserror::Error)]
pub enum AsyncError {
    /// The plan asks for more than the queue holds.
    #[error("openfaas cannot do this: {limit}; {remedy}")]
    Limit {
        /// The limit that stands in the way.
        limit: String,
        /// What to change.
        remedy: &'static str,
    },
    /// The gateway has no such path.
    #[error(
        "this gateway has no asynchronous calls (404 at /async-function): it was installed without a \
         queue; install an edition that has one, or call the function synchronously"
    )]
    NotInThisEdition,
    /// The receiver cannot listen.
    #[error("call-backs cannot be received at {address}: {cause}; choose another address to listen at")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: String,
    },
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

/// One asynchronous call. Times are counted from the first submission of all.
#[derive(Debug, Clone, PartialEq)]
pub struct AsyncCall {
    /// `X-Call-Id`, by which its call-back is known.
    pub id: String,
    /// When it was submitted.
    pub submitted: Duration,
    /// When the gateway had answered the submission.
    pub accepted: Duration,
    /// The gateway's answer; 202: it is queued.
    pub status: u16,
    /// Its call-back; none if none came in time.
    pub called_back: Option<CalledBack>,
}

impl AsyncCall {
    /// From the submission to the call-back.
    pub fn latency(&self) -> Option<Duration> {
        self.called_back.as_ref().map(|back| back.at.saturating_sub(self.submitted))
    }
}

/// A call-back.
#[derive(Debug, Clone, PartialEq)]
pub struct CalledBack {
    /// When it had come in whole, from the first submission of all.
    pub at: Duration,
    /// The function's status (`X-Function-Status`), where the edition tells it.
    pub function_status: Option<u16>,
    /// How long the function took (`X-Duration-Seconds`), where the edition tells it.
    pub function_duration: Option<Duration>,
    /// The function's answer.
    pub body: Bytes,
}

/// How calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsyncPlan {
    /// Calls that are under way at once, at most; 1 to [`QUEUE_ITEMS`].
    pub in_flight: usize,
    /// How long a call-back is waited for, from the call's submission.
    pub call_back_limit: Duration,
}

impl Default for AsyncPlan {
    fn default() -> Self {
        Self { in_flight: 1, call_back_limit: Duration::from_mins(1) }
    }
}

/// Call-backs that have come in, by id, with the instant and no meaning yet.
type Inbox = BTreeMap<String, (Instant, CalledBack)>;

/// A server that call-backs come to; ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    /// Its address as the cluster's pods can reach it: `http://HOST:PORT`.
    url: String,
    inbox: watch::Receiver<usize>,
    kept: Arc<Mutex<Inbox>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Listens at an address (port 0: any free one). `seen_as`: `HOST` or `HOST:PORT` under which
    /// the cluster's pods reach it; none: the address itself.
    ///
    /// # Errors
    /// If nothing can listen there.
    pub async fn start(address: SocketAddr, seen_as: Option<&str>) -> Result<Self, AsyncError> {
        let failed = |error: std::io::Error| AsyncError::Listen { address, cause: error.to_string() };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let port = bound.port();
        let url = match seen_as {
            None if bound.ip().is_unspecified() => {
                let cause = "pods cannot call 'any address'; say under which one they reach it".to_owned();
                return Err(AsyncError::Listen { address, cause });
            }
            None => format!("http://{bound}"),
            Some(host) => match host.parse::<IpAddr>() {
                Ok(ip) => format!("http://{}", SocketAddr::new(ip, port)),
                Err(_) if host.contains(':') => format!("http://{host}"),
                Err(_) => format!("http://{host}:{port}"),
            },
        };
        let kept = Arc::new(Mutex::new(Inbox::new()));
        let (count, inbox) = watch::channel(0);
        let (served, count) = (kept.clone(), Arc::new(count));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, count) = (served.clone(), count.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| receive(request, served.clone(), count.clone()));
                    // A caller who breaks off has not called back.
                    _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { url, inbox, kept, task })
    }

    /// Where call-backs are to be sent.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for a call's call-back.
    async fn wait_for(&self, id: &str) -> (Instant, CalledBack) {
        let mut inbox = self.inbox.clone();
        loop {
            inbox.mark_unchanged();
            if let Some(back) = self.kept.lock().ok().and_then(|mut kept| kept.remove(id)) {
                return back;
            }
            if inbox.changed().await.is_err() {
                // Nobody will call back any more; the caller's time limit ends the wait.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(
    request: Request<Incoming>,
    kept: Arc<Mutex<Inbox>>,
    count: Arc<watch::Sender<usize>>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let id = header("x-call-id").map(str::to_owned);
    let function_status = header("x-function-status").and_then(|text| text.parse().ok());
    let function_duration = header("x-duration-seconds")
        .and_then(|text| text.parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let body = body.collect().await?.to_bytes();
    let at = Instant::now();
    let mut answer = Response::new(Empty::new());
    let Some(id) = id else {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(answer);
    };
    let back = CalledBack { at: Duration::ZERO, function_status, function_duration, body };
    if let Ok(mut kept) = kept.lock() {
        // A call-back that is repeated changes nothing.
        kept.entry(id).or_insert((at, back));
    }
    count.send_modify(|count| *count += 1);
    Ok(answer)
}

/// Calls a function asynchronously, once with each payload, and waits for the call-backs. In the
/// order of the payloads.
///
/// # Errors
/// If the queue cannot hold them, the edition has no queue, or the gateway does not answer. What
/// the gateway answers a single call is in its [`AsyncCall`].
pub async fn call(
    gateway: &Gateway,
    receiver: &Receiver,
    function: &str,
    payloads: &[Payload],
    plan: AsyncPlan,
) -> Result<Vec<AsyncCall>, AsyncError> {
    check(payloads, plan)?;
    let zero = Instant::now();
    let caller = Caller { gateway, receiver, function, plan, zero };
    let caller = &caller;
    let mut calls = stream::iter(payloads).map(|payload| caller.one(payload)).buffered(plan.in_flight);
    let mut done = Vec::with_capacity(payloads.len());
    while let Some(call) = calls.next().await {
        done.push(call?);
    }
    Ok(done)
}

fn check(payloads: &[Payload], plan: AsyncPlan) -> Result<(), AsyncError> {
    if !(1..=QUEUE_ITEMS).contains(&plan.in_flight) {
        return Err(AsyncError::Limit {
            limit: format!("{} calls under way; the Community Edition queues {QUEUE_ITEMS}", plan.in_flight),
            remedy: "let 1 to 10 be under way at once",
        });
    }
    match payloads.iter().map(|payload| payload.body.len()).find(|bytes| *bytes > QUEUE_BODY_BYTES) {
        None => Ok(()),
        Some(bytes) => Err(AsyncError::Limit {
            limit: format!("a body of {bytes} bytes; the Community Edition queues {QUEUE_BODY_BYTES}"),
            remedy: "send a smaller body, or call the function synchronously",
        }),
    }
}

struct Caller<'a> {
    gateway: &'a Gateway,
    receiver: &'a Receiver,
    function: &'a str,
    plan: AsyncPlan,
    zero: Instant,
}

impl Caller<'_> {
    async fn one(&self, payload: &Payload) -> Result<AsyncCall, AsyncError> {
        let own_id = format!("testbed-{:032x}", rand::random::<u128>());
        let url = format!("{}/async-function/{}", self.gateway.url(), self.function);
        let request = self
            .gateway
            .client()
            .post(url)
            .header("x-callback-url", self.receiver.url())
            .header("x-call-id", &own_id)
            .header("content-type", &payload.content_type)
            .timeout(SUBMIT_LIMIT)
            .body(payload.body.clone());
        let submitted = Instant::now();
        // Not asked again: a call that was queued would be made twice.
        let answer = request.send().await.map_err(|error| self.gateway.unreachable(&error))?;
        let status = answer.status();
        let theirs = answer.headers().get("x-call-id").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let text = answer.bytes().await.map_err(|error| self.gateway.unreachable(&error))?;
        let accepted = Instant::now();
        if status == StatusCode::NOT_FOUND && told(&text) == "404 page not found" {
            return Err(AsyncError::NotInThisEdition);
        }
        // Gateways keep an id that they are given; one that does not says which one it took.
        let id = theirs.unwrap_or(own_id);
        let called_back = if status == StatusCode::ACCEPTED {
            let left = self.plan.call_back_limit.saturating_sub(submitted.elapsed());
            tokio::time::timeout(left, self.receiver.wait_for(&id)).await.ok()
        } else {
            None
        };
        let since = |instant: Instant| instant.saturating_duration_since(self.zero);
        Ok(AsyncCall {
            id,
            submitted: since(submitted),
            accepted: since(accepted),
            status: status.as_u16(),
            called_back: called_back.map(|(at, back)| CalledBack { at: since(at), ..back }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platforms::{
            cluster::api::Patience,
            openfaas::{gateway::http_client, login::GatewayLogin},
        },
        replay::{Exchange, Replay},
    };

    const HERE: &str = "127.0.0.1:0";

    fn gateway_at(url: &str) -> Gateway {
        Gateway::new(url, GatewayLogin::none("a test".into()), Patience::ONCE).unwrap()
    }

    async fn receiver() -> Receiver {
        Receiver::start(HERE.parse().unwrap(), None).await.unwrap()
    }

    /// A gateway with a queue: answers with 202 as the recorded one does to a deployment, and calls
    /// back: before that answer where the body is `first`, never where it is `never`.
    async fn queueing_gateway() -> String {
        let listener = TcpListener::bind(HERE).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = |request: Request<Incoming>| async move {
            let (head, body) = request.into_parts();
            assert_eq!(head.uri.path(), "/async-function/rec-fn");
            let text = |name: &str| head.headers[name].to_str().unwrap().to_owned();
            let (back, id) = (text("x-callback-url"), text("x-call-id"));
            let body = body.collect().await.unwrap().to_bytes();
            let call_back = http_client()
                .unwrap()
                .post(back)
                .header("x-call-id", id)
                .header("x-function-status", "200")
                .header("x-duration-seconds", "0.25")
                .body(format!("answer to {}", String::from_utf8_lossy(&body)))
                .send();
            match &body[..] {
                b"never" => {}
                b"first" => assert!(call_back.await.unwrap().status().is_success()),
                _ => drop(tokio::spawn(call_back)),
            }
            let accepted = Response::builder().status(202).body(Empty::<Bytes>::new());
            Ok::<_, hyper::Error>(accepted.unwrap())
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(serve));
                tokio::spawn(connection);
            }
        });
        url
    }

    fn payload(text: &'static str) -> Payload {
        Payload { name: text.into(), content_type: "text/plain".into(), body: text.into() }
    }

    #[tokio::test]
    async fn calls_are_measured_from_submission_to_call_back_whichever_answer_comes_first() {
        let gateway = gateway_at(&queueing_gateway().await);
        let bodies = ["one", "first", "three", "four"].map(payload);
        let plan = AsyncPlan { in_flight: 3, ..AsyncPlan::default() };
        let calls = call(&gateway, &receiver().await, "rec-fn", &bodies, plan).await.unwrap();
        for (call, body) in calls.iter().zip(&bodies) {
            let back = call.called_back.as_ref().unwrap();
            assert_eq!(back.body, format!("answer to {}", String::from_utf8_lossy(&body.body)));
            assert_eq!((call.status, back.function_status), (202, Some(200)));
            assert_eq!(back.function_duration, Some(Duration::from_millis(250)));
            assert_eq!(call.submitted + call.latency().unwrap(), back.at);
        }
        let first = &calls[1];
        assert!(first.called_back.as_ref().unwrap().at <= first.accepted);
        let ids: std::collections::BTreeSet<_> = calls.iter().map(|call| &call.id).collect();
        assert_eq!(ids.len(), 4);
    }

    #[tokio::test]
    async fn a_call_without_a_call_back_is_kept_as_one() {
        let gateway = gateway_at(&queueing_gateway().await);
        let plan = AsyncPlan { call_back_limit: Duration::from_millis(200), ..AsyncPlan::default() };
        let bodies = ["never", "two"].map(payload);
        let calls = call(&gateway, &receiver().await, "rec-fn", &bodies, plan).await.unwrap();
        assert_eq!(calls[0].status, 202);
        assert_eq!(calls[0].latency(), None);
        assert!(calls[1].latency().is_some());
    }

    #[tokio::test]
    async fn an_edition_without_a_queue_says_so() {
        for recording in ["openfaas/err-async", "openfaas/async-ready"] {
            let server = Replay::start([Exchange::recorded(recording).at("/async-function/rec-fn")]).await;
            let bodies = [payload("{}")];
            let (gateway, receiver) = (gateway_at(&server.url()), receiver().await);
            let outcome = call(&gateway, &receiver, "rec-fn", &bodies, AsyncPlan::default()).await;
            let said = outcome.unwrap_err().to_string();
            insta::allow_duplicates! {
                insta::assert_snapshot!(said, @"this gateway has no asynchronous calls (404 at /async-function): it was installed without a queue; install an edition that has one, or call the function synchronously");
            }
            assert_eq!(server.calls(), ["POST /async-function/rec-fn"]);
        }
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_is_refused_before_anything_is_sent() {
        let server = Replay::start([]).await;
        let (gateway, receiver) = (gateway_at(&server.url()), receiver().await);
        let large = [Payload { body: vec![0; QUEUE_BODY_BYTES + 1].into(), ..payload("") }];
        let many = AsyncPlan { in_flight: QUEUE_ITEMS + 1, ..AsyncPlan::default() };
        let too_many = call(&gateway, &receiver, "rec-fn", &[], many).await.unwrap_err();
        let too_large = call(&gateway, &receiver, "rec-fn", &large, AsyncPlan::default()).await.unwrap_err();
        insta::assert_snapshot!(format!("{too_many}\n{too_large}"), @r#"
        openfaas cannot do this: 11 calls under way; the Community Edition queues 10; let 1 to 10 be under way at once
        openfaas cannot do this: a body of 262145 bytes; the Community Edition queues 262144; send a smaller body, or call the function synchronously
        "#);
        assert!(server.calls().is_empty());
    }

    #[tokio::test]
    async fn the_receivers_address_is_the_one_that_pods_can_reach() {
        let url = async |address: &str, seen_as| {
            let started = Receiver::start(address.parse().unwrap(), seen_as).await?;
            Ok::<_, AsyncError>(started.url().to_owned())
        };
        assert!(url(HERE, None).await.unwrap().starts_with("http://127.0.0.1:"));
        assert!(url("0.0.0.0:0", Some("192.0.2.1")).await.unwrap().starts_with("http://192.0.2.1:"));
        assert!(url("0.0.0.0:0", Some("2001:db8::1")).await.unwrap().starts_with("http://[2001:db8::1]:"));
        assert_eq!(url("0.0.0.0:0", Some("me.example:81")).await.unwrap(), "http://me.example:81");
        assert!(url("0.0.0.0:0", None).await.unwrap_err().to_string().contains("say under which one"));
    }
}
