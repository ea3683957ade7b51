//! Speaks the Chrome DevTools Protocol over one socket: JSON texts, each ended by a zero byte, as
//! `--remote-debugging-pipe` has it. No TCP port that a page could knock at, and no WebSocket.
//!
//! One thread reads and hands each message to the inbox whose document it concerns.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

/// A browser that takes no bytes for so long is hung.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Longest message taken from the browser, bytes; a longer one is skipped. The parts of a PDF are far
/// shorter, but a page can post as much as it likes, and the request comes here whole.
const MESSAGE_BYTES: u64 = 64 << 20;

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not in time.
    #[error("the browser did not answer in time")]
    Time,
    /// The browser is gone, or broke the protocol.
    #[error("the browser ended")]
    Ended,
    /// The browser will not do it.
    #[error("{method}: {message}")]
    Refused {
        /// What was asked for.
        method: &'static str,
        /// The browser's text.
        message: String,
    },
}

/// What the browser says.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// The answer to a command.
    Reply {
        /// The command's number.
        id: u64,
        /// Its result, or the browser's text of why not.
        result: Result<Value, String>,
    },
    /// Something happened.
    Event {
        /// The page's session, or a child's of it.
        session: String,
        /// What.
        method: String,
        /// Its circumstances.
        params: Value,
    },
}

#[derive(Deserialize)]
struct Wire {
    id: Option<u64>,
    #[serde(rename = "sessionId")]
    session: Option<String>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    message: String,
}

/// Who waits for what. Inboxes go by number.
#[derive(Default)]
struct Routes {
    ended: bool,
    commands: HashMap<u64, u64>,
    sessions: HashMap<String, u64>,
    inboxes: HashMap<u64, Sender<Message>>,
}

/// The line to one browser.
pub struct Connection {
    socket: UnixStream,
    writing: Mutex<()>,
    last_number: AtomicU64,
    routes: Mutex<Routes>,
}

impl Connection {
    /// Takes over a socket; [`Self::read_until_end`] must be run for it.
    ///
    /// # Errors
    /// If the system refuses the time limit.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_write_timeout(Some(WRITE_LIMIT))?;
        Ok(Self {
            socket,
            writing: Mutex::default(),
            last_number: AtomicU64::new(0),
            routes: Mutex::default(),
        })
    }

    /// Hands out what comes, until the browser closes its end or breaks the protocol; then every
    /// inbox learns that it ended.
    pub fn read_until_end(&self) {
        let mut reader = io::BufReader::with_capacity(1 << 16, &self.socket);
        let mut text = Vec::new();
        loop {
            text.clear();
            let length = (&mut reader).take(MESSAGE_BYTES).read_until(0, &mut text).unwrap_or(0);
            if length as u64 == MESSAGE_BYTES && text.last() != Some(&0) {
                // Nobody misses it but the page that had it sent.
                if reader.skip_until(0).is_err() {
                    break;
                }
                continue;
            }
            if text.pop() != Some(0) {
                break;
            }
            let Ok(wire) = serde_json::from_slice::<Wire>(&text) else {
                break;
            };
            self.hand_out(wire);
        }
        self.end();
        let mut routes = self.routes();
        routes.ended = true;
        routes.inboxes.clear();
    }

    fn hand_out(&self, wire: Wire) {
        let mut routes = self.routes();
        let (inbox, message) = if let Some(id) = wire.id {
            let result = match wire.error {
                Some(error) => Err(error.message),
                None => Ok(wire.result),
            };
            (routes.commands.remove(&id), Message::Reply { id, result })
        } else {
            let (Some(session), Some(method)) = (wire.session, wire.method) else {
                return;
            };
            let inbox = routes.sessions.get(&session).copied();
            (inbox, Message::Event { session, method, params: wire.params })
        };
        if let Some(sender) = inbox.and_then(|number| routes.inboxes.get(&number)) {
            // An error means that the document is just being given up.
            let _ = sender.send(message);
        }
    }

    /// Closes the line: the browser ends itself, and the reading thread sees to it.
    pub fn end(&self) {
        // It may be closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Whether the browser is gone.
    pub fn has_ended(&self) -> bool {
        self.routes().ended
    }

    /// A place for the messages of one document.
    pub fn inbox(&self) -> Inbox<'_> {
        let (sender, receiver) = channel();
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let mut routes = self.routes();
        if !routes.ended {
            routes.inboxes.insert(number, sender);
        }
        drop(routes);
        Inbox { connection: self, number, receiver }
    }

    fn write(&self, text: &[u8]) -> Result<(), CallError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut socket = &self.socket;
        socket.write_all(text).map_err(|_| {
            // Half a message may be written: nobody can use this line any more.
            self.end();
            CallError::Ended
        })
    }

    /// The routes are whole after every statement that holds the lock, so poison means nothing.
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the messages of one document arrive. Dropped, it stops them.
pub struct Inbox<'a> {
    connection: &'a Connection,
    number: u64,
    receiver: Receiver<Message>,
}

impl Inbox<'_> {
    /// From now on the events of a session arrive here.
    pub fn adopt(&self, session: &str) {
        self.connection.routes().sessions.insert(session.to_owned(), self.number);
    }

    /// Sends a command, to the browser itself or to a session; its number is the reply's.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn send(&self, session: Option<&str>, method: &str, params: &Value) -> Result<u64, CallError> {
        let id = self.connection.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut text = command.to_string().into_bytes();
        text.push(0);
        self.connection.routes().commands.insert(id, self.number);
        self.connection.write(&text)?;
        Ok(id)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// If none comes until then, or the browser is gone.
    pub fn next(&self, until: Instant) -> Result<Message, CallError> {
        let patience = until.saturating_duration_since(Instant::now());
        self.receiver.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => CallError::Time,
            RecvTimeoutError::Disconnected => CallError::Ended,
        })
    }

    /// Asks the browser itself and waits for the reply; other messages are lost.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn ask(&self, method: &'static str, params: &Value, until: Instant) -> Result<Value, CallError> {
        let asked = self.send(None, method, params)?;
        loop {
            if let Message::Reply { id, result } = self.next(until)?
                && id == asked
            {
                return result.map_err(|message| CallError::Refused { method, message });
            }
        }
    }
}

impl Drop for Inbox<'_> {
    fn drop(&mut self) {
        let mut routes = self.connection.routes();
        routes.inboxes.remove(&self.number);
        routes.sessions.retain(|_, inbox| *inbox != self.number);
        routes.commands.retain(|_, inbox| *inbox != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A connection whose browser is the test.
    fn with_browser(browser: impl FnOnce(UnixStream) + Send, test: impl FnOnce(&Connection)) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| connection.read_until_end());
            scope.spawn(|| browser(theirs));
            test(&connection);
            connection.end();
        });
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// Reads a command.
    fn command(reader: &mut impl BufRead) -> Value {
        let mut text = Vec::new();
        reader.read_until(0, &mut text).unwrap();
        text.pop();
        serde_json::from_slice(&text).unwrap()
    }

    fn say(mut socket: &UnixStream, message: &Value) {
        socket.write_all(format!("{message}\0").as_bytes()).unwrap();
    }

    #[test]
    fn replies_and_events_reach_the_document_that_they_concern() {
        let browser = |socket: UnixStream| {
            let mut reader = io::BufReader::new(&socket);
            let (first, second) = (command(&mut reader), command(&mut reader));
            say(&socket, &json!({ "method": "Of.nobody", "params": {}, "sessionId": "C" }));
            say(&socket, &json!({ "method": "Page.loaded", "params": { "n": 2 }, "sessionId": "B" }));
            say(&socket, &json!({ "id": second["id"], "error": { "code": -1, "message": "no" } }));
            say(&socket, &json!({ "id": first["id"], "result": { "of": first["sessionId"] } }));
        };
        with_browser(browser, |connection| {
            let (one, two) = (connection.inbox(), connection.inbox());
            one.adopt("A");
            two.adopt("B");
            let first = one.send(Some("A"), "Do.this", &json!({})).unwrap();
            let second = two.send(Some("B"), "Do.that", &json!({})).unwrap();
            let loaded = Message::Event {
                session: "B".into(),
                method: "Page.loaded".into(),
                params: json!({ "n": 2 }),
            };
            assert_eq!(two.next(soon()), Ok(loaded));
            assert_eq!(two.next(soon()), Ok(Message::Reply { id: second, result: Err("no".into()) }));
            assert_eq!(one.next(soon()), Ok(Message::Reply { id: first, result: Ok(json!({ "of": "A" })) }));
        });
    }

    #[test]
    fn a_browser_that_ends_or_talks_nonsense_ends_every_wait() {
        for last_words in ["", "no json\0", "{\"id\":1}"] {
            let browser = |mut socket: UnixStream| socket.write_all(last_words.as_bytes()).unwrap();
            with_browser(browser, |connection| {
                assert_eq!(connection.inbox().next(soon()), Err(CallError::Ended));
                assert!(connection.has_ended());
                assert_eq!(connection.inbox().next(soon()), Err(CallError::Ended));
            });
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_skipped_and_the_next_one_arrives() {
        let browser = |mut socket: UnixStream| {
            socket.write_all(&vec![b'x'; MESSAGE_BYTES as usize + 9]).unwrap();
            socket.write_all(b"\0").unwrap();
            say(&socket, &json!({ "method": "Next", "params": {}, "sessionId": "A" }));
            let _ = io::copy(&mut &socket, &mut io::sink());
        };
        with_browser(browser, |connection| {
            let inbox = connection.inbox();
            inbox.adopt("A");
            let next = Message::Event { session: "A".into(), method: "Next".into(), params: json!({}) };
            assert_eq!(inbox.next(soon()), Ok(next));
        });
    }

    #[test]
    fn a_browser_that_says_nothing_is_waited_for_until_the_time_is_over() {
        let browser = |socket: UnixStream| {
            // Until the test closes the line.
            let _ = io::copy(&mut &socket, &mut io::sink());
        };
        with_browser(browser, |connection| {
            let until = Instant::now() + Duration::from_millis(30);
            assert_eq!(connection.inbox().ask("Say.something", &json!({}), until), Err(CallError::Time));
            assert!(Instant::now() >= until);
        });
    }
}
