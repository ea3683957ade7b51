//! One hop of a data plane: accept, forward over kept connections, answer by itself.
//!
//! Every hop is a listener and a client on loopback: a request is parsed, forwarded and parsed
//! again, as on a cluster. All hops of a plane share one process and its threads, so they cost less
//! than the separate pods of a cluster (no container boundary, no virtual network, no TLS).

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::http1::SendRequest,
    header::{self, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Body of a request or an answer on its way.
pub type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// A handler's wish to close the connection without any answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
pub struct Closed;

/// What a handler gives back.
pub type Answer = Result<Response<Body>, Closed>;

/// Kept connections that were idle for longer are not used again. Below the keep-alive time of
/// common servers (5 s in actix-web), so that a request never meets a connection being closed.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// Connections kept per destination.
const MAX_KEPT: usize = 512;

/// Serves connections until dropped. Connections that are open then are served to their end.
pub async fn serve<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: leave the others time to end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let handle = handle.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(request, peer));
            // An error here is the peer's going away or a wanted close.
            let _ = hyper::server::conn::http1::Builder::new()
                .header_read_timeout(None)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Why no answer came from the next hop.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection came about.
    #[error("{0}")]
    Connect(io::Error),
    /// The connection broke, or what came was not HTTP.
    #[error("{0}")]
    Broken(hyper::Error),
}

/// The next hop, with its kept connections.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    kept: Mutex<Vec<(SendRequest<Body>, Instant)>>,
}

impl Upstream {
    /// Nothing is connected before the first request.
    pub fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { address, kept: Mutex::default() })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request and returns the answer as soon as its head is there.
    ///
    /// # Errors
    /// When no connection comes about or it breaks before the head.
    pub async fn send(self: &Arc<Self>, mut request: Request<Body>) -> Result<Response<Body>, SendError> {
        loop {
            let (mut sender, reused) = match self.take_kept() {
                Some(sender) => (sender, true),
                None => (self.connect().await?, false),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let checkout = Checkout { upstream: Arc::clone(self), sender: Some(sender) };
                    return Ok(response.map(|body| guarded(body, checkout)));
                }
                Err(mut error) => match error.take_message() {
                    // The kept connection was closed meanwhile and nothing was sent: try another.
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(SendError::Broken(error.into_error())),
                },
            }
        }
    }

    fn take_kept(&self) -> Option<SendRequest<Body>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < MAX_IDLE);
        let free = kept.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(kept.swap_remove(free).0)
    }

    async fn connect(&self) -> Result<SendRequest<Body>, SendError> {
        let stream = TcpStream::connect(self.address).await.map_err(SendError::Connect)?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(SendError::Broken)?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Gives a connection back once the answer's body is done with.
struct Checkout {
    upstream: Arc<Upstream>,
    sender: Option<SendRequest<Body>>,
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let mut kept = self.upstream.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = self.sender.take()
            && kept.len() < MAX_KEPT
        {
            kept.push((sender, Instant::now()));
        }
    }
}

/// A body that holds something until it was sent or given up.
struct Guarded<B, G> {
    body: B,
    _guard: G,
}

impl<B, G> HttpBody for Guarded<B, G>
where
    B: HttpBody<Data = Bytes, Error = hyper::Error> + Unpin,
    G: Unpin,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Ties a guard (a permit, a count) to a body.
pub fn guarded<B, G>(body: B, guard: G) -> Body
where
    B: HttpBody<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
    G: Send + Unpin + 'static,
{
    Guarded { body, _guard: guard }.boxed_unsync()
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer by the platform itself: plain text.
pub fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = empty(status);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    *response.body_mut() = full(text.into());
    response
}

/// An error as Go's `http.Error` writes it: a line of plain text.
pub fn go_error(status: StatusCode, line: &str) -> Response<Body> {
    let mut response = text(status, format!("{line}\n"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer by the platform itself without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Takes out the headers that concern one connection only (RFC 9110, section 7.6.1).
pub fn strip_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in
        ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
    {
        headers.remove(name);
    }
}

/// Request bodies up to this size are read whole at the entry, bytes.
const SMALL_BODY: u64 = 1 << 20;

/// A client's request made ready to be sent on, with its body read if it is small.
///
/// When a function answers before it has read the body (a refusal, say), Envoy and Go's server read
/// the rest and keep the client's connection; hyper closes it. Reading first comes to the same.
///
/// # Errors
/// When the client broke off.
pub async fn received(request: Request<Incoming>) -> Result<Request<Body>, Closed> {
    if request.body().size_hint().upper().is_none_or(|size| size > SMALL_BODY) {
        return Ok(forwardable(request));
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    Ok(prepared(Request::from_parts(head, full(body))))
}

/// A request of the hop before made ready to be sent on.
pub fn forwardable(request: Request<Incoming>) -> Request<Body> {
    prepared(request.map(BodyExt::boxed_unsync))
}

/// Path only, no connection headers.
fn prepared(mut request: Request<Body>) -> Request<Body> {
    *request.uri_mut() = match request.uri().path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    };
    strip_connection_headers(request.headers_mut());
    request
}

/// Sets a header whose value this code made; a value that is no legal header is left out.
pub fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A random identifier in the form of a version 4 UUID (RFC 9562, section 5.4).
pub fn random_uuid() -> String {
    let n = (rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{n:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_headers_go_and_the_others_stay() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Hop"), ("x-hop", "1"), ("te", "trailers"), ("x-stays", "1")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip_connection_headers(&mut headers);
        assert_eq!(headers.keys().map(header::HeaderName::as_str).collect::<Vec<_>>(), ["x-stays"]);
    }

    #[test]
    fn identifiers_have_the_form_of_a_random_uuid() {
        let id = random_uuid();
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, random_uuid());
    }
}
