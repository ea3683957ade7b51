//! One request on one connection of our own: connect, send, read, judge, and note when.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, Sleep},
};

use super::{
    Judgement, audit,
    player::{Call, Job},
    target::Target,
};
use crate::record::{Outcome, Record};

/// Sent with each request, so that a server's log can be joined with the records.
static CALL_HEADER: HeaderName = HeaderName::from_static("x-testbed-call");

/// Body bytes kept for the judge; more are counted and thrown away.
const KEPT_BODY_BYTES: usize = 4 << 20;

/// A request that is under way, visible to the player: what is unanswered at the end of the drain
/// still becomes a record.
#[derive(Debug)]
pub(super) struct Slot {
    /// Whether the record below belongs to a request that is under way.
    pub(super) busy: Cell<bool>,
    /// What is known of it so far.
    pub(super) record: RefCell<Record>,
}

/// Sends one request at a time; keeps a connection to each target.
pub(super) struct Client {
    job: Rc<Job>,
    slot: Rc<Slot>,
    links: Vec<Option<Link>>,
    deadline: Pin<Box<Sleep>>,
}

/// An open connection. Its I/O runs in a task that ends with it.
struct Link {
    number: u32,
    sender: SendRequest<Full<Bytes>>,
}

/// No complete answer came.
struct NoAnswer;

impl Client {
    /// A client without connections, known to the job.
    pub(super) fn new(job: Rc<Job>) -> Self {
        let slot = job.new_slot();
        let links = job.targets.iter().map(|_| None).collect();
        let deadline = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { job, slot, links, deadline }
    }

    /// Performs a call to its end: an answer, a failure or the deadline.
    pub(super) async fn perform(&mut self, call: Call) -> Record {
        let sent_ns = self.job.clock.now_ns();
        *self.slot.record.borrow_mut() = call.record(&self.job, sent_ns);
        self.slot.busy.set(true);
        let until = self.job.clock.at(sent_ns) + self.job.timeout;
        let link = &mut self.links[call.endpoint];
        let exchange = exchange(&self.job, link, &self.slot.record, call);
        let judged = before(self.deadline.as_mut(), until.into(), exchange).await;

        let mut record = self.slot.record.borrow().clone();
        self.slot.busy.set(false);
        match judged {
            Some(Ok(Judgement { outcome, instance, cold, server })) => {
                record.outcome = outcome;
                record.instance = instance;
                record.cold = cold;
                record.server = server;
            }
            failed => {
                // HTTP/1.1 cannot use a connection again after a request that was given up.
                *link = None;
                record.done_ns = self.job.clock.now_ns();
                record.outcome = if failed.is_none() { Outcome::Timeout } else { Outcome::Connect };
            }
        }
        record
    }
}

/// Polls `future` until the deadline; none after it. The timer is re-armed only when it fires
/// early for its present request, about once a time-out instead of once a request.
async fn before<F: Future>(mut timer: Pin<&mut Sleep>, until: Instant, future: F) -> Option<F::Output> {
    if timer.is_elapsed() || timer.deadline() > until {
        timer.as_mut().reset(until);
    }
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= until {
                return Poll::Ready(None);
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    })
    .await
}

/// Sends a call, on the connection at hand or a new one, and reads the answer.
async fn exchange(
    job: &Job,
    link: &mut Option<Link>,
    record: &RefCell<Record>,
    call: Call,
) -> Result<Judgement, NoAnswer> {
    let mut response = send(job, link, record, call).await?;
    {
        let mut record = record.borrow_mut();
        record.first_byte_ns = Some(job.clock.now_ns());
        record.status = response.status().as_u16();
    }
    let body = read_body(&mut response, record).await?;
    record.borrow_mut().done_ns = job.clock.now_ns();
    Ok(job.judge.judge(call.payload, response.status().as_u16(), response.headers(), &body))
}

/// Sends the request and waits for the head of the answer.
///
/// On a kept connection that the server has closed, it tries once more on a new one: if the
/// request was not written, or if nothing came back and its method is idempotent (RFC 9110,
/// section 9.2.2). A `POST` that vanished stays a failure: it may have been worked on.
async fn send(
    job: &Job,
    link: &mut Option<Link>,
    record: &RefCell<Record>,
    call: Call,
) -> Result<Response<Incoming>, NoAnswer> {
    if let Some(kept) = link.as_mut()
        && kept.sender.ready().await.is_ok()
    {
        {
            let mut record = record.borrow_mut();
            record.connected_ns = Some(record.sent_ns);
            record.connection = kept.number;
        }
        match kept.sender.try_send_request(job.request(call)).await {
            Ok(response) => return Ok(response),
            Err(mut error) => {
                let vanished = error.error().is_incomplete_message() || error.error().is_closed();
                let unwritten = error.take_message().is_some();
                let again = unwritten || (vanished && job.method.is_idempotent());
                if !again {
                    return Err(NoAnswer);
                }
            }
        }
        record.borrow_mut().connected_ns = None;
    }
    *link = None;
    let opened = link.insert(open(job, &job.targets[call.endpoint]).await?);
    {
        let mut record = record.borrow_mut();
        record.connected_ns = Some(job.clock.now_ns());
        record.connection = opened.number;
    }
    opened.sender.send_request(job.request(call)).await.map_err(|_| NoAnswer)
}

/// Reads the whole body; keeps the beginning, counts all.
async fn read_body(response: &mut Response<Incoming>, record: &RefCell<Record>) -> Result<Bytes, NoAnswer> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = response.body_mut().frame().await {
        let Ok(data) = frame.map_err(|_| NoAnswer)?.into_data() else { continue };
        {
            let mut record = record.borrow_mut();
            record.bytes_received =
                record.bytes_received.saturating_add(u32::try_from(data.len()).unwrap_or(u32::MAX));
        }
        if first.is_empty() {
            first = data;
        } else if first.len() + rest.len() < KEPT_BODY_BYTES {
            rest.extend_from_slice(&data);
        }
    }
    // Nearly every answer comes in one piece, which is then not copied.
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// Opens a connection, TLS included.
async fn open(job: &Job, target: &Target) -> Result<Link, NoAnswer> {
    let stream = connect(target).await.map_err(|error| {
        job.note_local_fault(audit::local_fault(&error));
        NoAnswer
    })?;
    let number = job.count_connection();
    let sender = match &target.tls {
        None => handshake(stream).await?,
        Some((connector, name)) => {
            handshake(connector.connect(name.clone(), stream).await.map_err(|_| NoAnswer)?).await?
        }
    };
    Ok(Link { number, sender })
}

/// Tries the target's addresses, beginning with the one that answered last.
async fn connect(target: &Target) -> std::io::Result<TcpStream> {
    let begin = target.preferred.get();
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for step in 0..target.addresses.len() {
        let index = (begin + step) % target.addresses.len();
        match TcpStream::connect(target.addresses[index]).await {
            Ok(stream) => {
                target.preferred.set(index);
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Begins HTTP on a stream and leaves its I/O to a task.
async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| NoAnswer)?;
    // Its errors reach the request that they concern.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

impl Job {
    /// The request of a call.
    fn request(&self, call: Call) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.payloads[call.payload].body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.targets[call.endpoint].path.clone();
        *request.headers_mut() = self.headers(call).clone();
        request.headers_mut().insert(CALL_HEADER.clone(), HeaderValue::from(call.id));
        request
    }
}
