//! One connection or one request as hyper has it: open, send, read, judge, and note when.

use std::{cell::RefCell, io, rc::Rc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, Uri, Version,
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
    header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
    rt::Executor,
};
use hyper_util::rt::TokioIo;
use mio::Registry;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    parser::KEPT_BODY_BYTES,
    request::CALL_HEADER,
    shared::Event,
    socket::{AsyncSocket, Sockets},
    tasks::Spawner,
};
use crate::drive::{Judgement, Reuse, job::Job, target::Target};

/// What an answer's task has found out so far; seen also when the request is given up.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) first_byte_ns: Option<u64>,
    pub(super) done_ns: Option<u64>,
    pub(super) status: u16,
    pub(super) bytes_received: u32,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection was no use: closed by the server, before a byte of an answer came.
    Stale {
        /// Whether the request was not sent at all.
        unwritten: bool,
    },
    /// Anything else.
    Broken,
}

/// The end of a connection where requests are put in.
pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    /// Another one of the same connection, where that can carry several requests.
    pub(super) fn clone_shared(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    /// Whether the connection is known to be closed.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        }
    }

    async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(sender) => sender.ready().await,
        }
    }
}

/// What opening a connection takes.
pub(super) struct Links {
    pub(super) job: Rc<Job>,
    pub(super) registry: Registry,
    pub(super) sockets: Rc<Sockets>,
    pub(super) spawner: Spawner<Event>,
}

impl Links {
    /// Opens a connection, TLS included; its own task says when it has ended.
    pub(super) async fn open(&self, endpoint: usize, line: usize, serial: u64) -> io::Result<Sender> {
        let target = &self.job.targets[endpoint];
        let socket = self.connect(target).await?;
        match &target.tls {
            None => self.handshake(socket, line, serial).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), socket).await.map_err(in_words)?;
                if self.job.is_multiplexed() && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return Err(no_http2());
                }
                self.handshake(stream, line, serial).await
            }
        }
    }

    /// Tries the target's addresses, beginning with the one that answered last.
    async fn connect(&self, target: &Target) -> io::Result<AsyncSocket> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for tried in 0..target.addresses.len() {
            let sockets = Rc::clone(&self.sockets);
            match AsyncSocket::connect(sockets, &self.registry, target.address(tried)).await {
                Ok(socket) => {
                    target.prefer(tried);
                    return Ok(socket);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Begins HTTP on a stream and leaves its I/O to a task.
    async fn handshake<S>(&self, stream: S, line: usize, serial: u64) -> io::Result<Sender>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        // A connection's errors reach the requests that they concern.
        if self.job.is_multiplexed() {
            let background = Background(self.spawner.clone());
            let (sender, connection) = http2::handshake(background, io).await.map_err(io::Error::other)?;
            self.spawner.spawn(async move {
                drop(connection.await);
                Event::Closed { line, serial }
            });
            Ok(Sender::Http2(sender))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
            self.spawner.spawn(async move {
                drop(connection.await);
                Event::Closed { line, serial }
            });
            Ok(Sender::Http1(sender))
        }
    }
}

/// TLS was agreed upon, but not HTTP/2 on it.
fn no_http2() -> io::Error {
    io::Error::other("the server does not speak HTTP/2; use HTTP/1.1")
}

/// A failed TLS handshake; the alert that refuses HTTP/2 gets words of ours.
fn in_words(error: io::Error) -> io::Error {
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol);
    let refused = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) == Some(&alert);
    if refused { no_http2() } else { error }
}

/// Runs hyper's own tasks.
#[derive(Clone)]
struct Background(Spawner<Event>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Background {
    fn execute(&self, task: F) {
        self.0.spawn(async move {
            task.await;
            Event::Nothing
        });
    }
}

/// Sends a request, reads the answer to its end, and has it judged.
pub(super) async fn exchange(
    job: &Job,
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
    payload: usize,
    notes: &RefCell<Notes>,
) -> Result<Judgement, Failure> {
    sender.ready().await.map_err(|_| Failure::Stale { unwritten: true })?;
    let mut response = sender.send(request).await.map_err(|mut error| {
        let vanished = error.error().is_incomplete_message() || error.error().is_closed();
        let unwritten = error.take_message().is_some();
        if vanished || unwritten { Failure::Stale { unwritten } } else { Failure::Broken }
    })?;
    let status = response.status().as_u16();
    {
        let mut notes = notes.borrow_mut();
        notes.first_byte_ns = Some(job.clock.now_ns());
        notes.status = status;
    }
    let mut body = Vec::new();
    while let Some(frame) = response.body_mut().frame().await {
        let Ok(data) = frame.map_err(|_| Failure::Broken)?.into_data() else { continue };
        let mut notes = notes.borrow_mut();
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        notes.bytes_received = notes.bytes_received.saturating_add(length);
        let room = KEPT_BODY_BYTES.saturating_sub(body.len());
        body.extend_from_slice(&data[..data.len().min(room)]);
    }
    notes.borrow_mut().done_ns = Some(job.clock.now_ns());
    Ok(job.judge.judge(payload, status, response.headers(), &body))
}

/// The request of a call.
pub(super) fn request(job: &Job, endpoint: usize, payload: usize, call_id: u64) -> Request<Full<Bytes>> {
    let target = &job.targets[endpoint];
    let mut request = Request::new(Full::new(job.payloads[payload].body.clone()));
    *request.method_mut() = job.method.clone();
    *request.uri_mut() = target.path.clone();
    *request.headers_mut() = job.headers(endpoint, payload).clone();
    let headers = request.headers_mut();
    // The body's length is hyper's to say.
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    headers.insert(HeaderName::from_static(CALL_HEADER), HeaderValue::from(call_id));
    if job.is_multiplexed() {
        // HTTP/2 names the host in a field of its own, and has no such thing as `Connection`
        // (RFC 9113, sections 8.2.2 and 8.3.1).
        headers.remove(CONNECTION);
        let host = headers.remove(HOST);
        let scheme = if target.tls.is_some() { "https" } else { "http" };
        let path = target.path.path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder().scheme(scheme).path_and_query(path);
        if let Some(uri) = host.and_then(|host| uri.authority(host.as_bytes()).build().ok()) {
            *request.uri_mut() = uri;
        }
        *request.version_mut() = Version::HTTP_2;
    } else if job.connections.reuse == Reuse::PerRequest {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    request
}
