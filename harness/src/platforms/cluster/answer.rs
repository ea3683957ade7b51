//! The first answer of a deployed function, asked for the way its load will come in.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinHandle};

/// Deadline of one call: a cold path may hold it for a while.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Pause after a call that was not answered well; it grows to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between two calls.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What to call, and what counts as an answer of the function itself.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// `http://HOST:PORT/PATH`.
    pub url: &'a str,
    /// Headers of the call.
    pub headers: &'a [(String, String)],
    /// Whether the function names its process in `X-Boot-Id`: then only such an answer counts.
    pub is_ours: bool,
}

/// An answer's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// `X-Boot-Id`: which process answered.
    pub boot_id: Option<String>,
    /// `X-Instance-Id`: which pod answered.
    pub instance: Option<String>,
    /// `Server`: an ingress that knows no such host names itself here.
    pub server: Option<String>,
}

impl Answered {
    fn read(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Self {
            status: status.as_u16(),
            boot_id: text("x-boot-id"),
            instance: text("x-instance-id"),
            server: text("server"),
        }
    }

    /// Why this is not the answer that is waited for; none if it is.
    fn objection(&self, is_ours: bool) -> Option<String> {
        if !(200..300).contains(&self.status) {
            let by = self.server.as_ref().map(|server| format!(" from {server}")).unwrap_or_default();
            return Some(format!("the answer is {}{by}", self.status));
        }
        (is_ours && self.boot_id.is_none())
            .then(|| "something else answers: the answer has no X-Boot-Id".to_owned())
    }
}

/// Calls until the function answers with success.
///
/// # Errors
/// What the last call met, when the time is up.
pub async fn first(wanted: Wanted<'_>, limit: Duration) -> Result<Answered, String> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let met = match get(wanted).await {
            Ok(answered) => match answered.objection(wanted.is_ours) {
                None => return Ok(answered),
                Some(objection) => objection,
            },
            Err(cause) => cause,
        };
        if started.elapsed() + pause >= limit {
            return Err(format!("no correct answer at {}: {met}", wanted.url));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One GET on a connection of its own.
///
/// # Errors
/// Why there is no answer.
pub async fn get(wanted: Wanted<'_>) -> Result<Answered, String> {
    match tokio::time::timeout(CALL_LIMIT, exchange(wanted)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", CALL_LIMIT.as_secs())),
    }
}

async fn exchange(wanted: Wanted<'_>) -> Result<Answered, String> {
    let rest = wanted.url.strip_prefix("http://").ok_or("only http:// addresses can be called")?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let has_port = address.rsplit(']').next().is_some_and(|end| end.contains(':'));
    let target = if has_port { address.to_owned() } else { format!("{address}:80") };
    let stream = TcpStream::connect(&target).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let _connection = AbortOnDrop(tokio::spawn(async move {
        // An error here shows in the answer that does not come.
        _ = connection.await;
    }));
    let mut request = Request::get(format!("/{path}"));
    if !wanted.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", address);
    }
    for (name, value) in wanted.headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let (head, body) = sender.send_request(request).await.map_err(|e| e.to_string())?.into_parts();
    body.collect().await.map_err(|e| e.to_string())?;
    Ok(Answered::read(head.status, &head.headers))
}

/// Ends the connection's task with the call, also when the call is given up.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{Exchange, Replay};

    fn answered(status: u16, headers: &[(&str, &str)]) -> Exchange {
        Exchange {
            headers: headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Exchange::new("GET", "/health", status, serde_json::Value::Null)
        }
    }

    #[tokio::test]
    async fn an_ingress_that_knows_no_route_yet_and_a_strangers_success_do_not_count() {
        let server = Replay::start([
            answered(404, &[("server", "envoy")]),
            Exchange::hang_up("GET", "/health"),
            answered(200, &[]),
            answered(200, &[("x-boot-id", "b1"), ("x-instance-id", "p1")]),
        ])
        .await;
        let url = format!("{}/health", server.url());
        let headers = [("Host".to_owned(), "f.example.com".to_owned())];
        let wanted = Wanted { url: &url, headers: &headers, is_ours: true };
        let answer = first(wanted, Duration::from_secs(10)).await.unwrap();
        assert_eq!((answer.boot_id.as_deref(), answer.instance.as_deref()), (Some("b1"), Some("p1")));
        assert_eq!(server.asked().len(), 4);
    }

    #[tokio::test]
    async fn when_the_time_is_up_the_last_answer_is_the_cause() {
        let server = Replay::start([answered(404, &[("server", "envoy")])]).await;
        let url = format!("{}/health", server.url());
        let wanted = Wanted { url: &url, headers: &[], is_ours: false };
        let cause = first(wanted, Duration::from_millis(50)).await.unwrap_err();
        assert!(cause.ends_with("/health: the answer is 404 from envoy"), "{cause}");
    }
}
