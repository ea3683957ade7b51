//! A request's bytes: made once for each endpoint and payload, but for the call's number.

use std::io::{self, IoSlice, Write};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};

use crate::drive::{Reuse, target::Target};

/// Sent with each request, so that a server's log can be joined with the records.
pub(super) const CALL_HEADER: &str = "x-testbed-call";

/// Up to this size a body is copied behind its head: cheaper than a gathering write.
const COPIED_BODY_BYTES: usize = 8 << 10;

/// The requests with one endpoint and one payload.
#[derive(Debug)]
pub(in crate::drive) struct Template {
    /// Everything up to the call's number.
    head: Vec<u8>,
    body: Bytes,
}

impl Template {
    /// The template of requests with these headers and this body.
    pub(in crate::drive) fn new(
        method: &Method,
        target: &Target,
        headers: &HeaderMap,
        body: &Bytes,
        reuse: Reuse,
    ) -> Self {
        let mut head = format!("{method} {} HTTP/1.1\r\n", target.path).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                head.extend_from_slice(part);
            }
        };
        for (name, value) in headers {
            // The body's length is ours to say.
            let ours = name == CONTENT_LENGTH || name == TRANSFER_ENCODING;
            if !(ours || (reuse == Reuse::PerRequest && name == CONNECTION)) {
                line(name.as_str(), value.as_bytes());
            }
        }
        if !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(method) {
            line("content-length", body.len().to_string().as_bytes());
        }
        if reuse == Reuse::PerRequest {
            line("connection", b"close");
        }
        head.extend_from_slice(CALL_HEADER.as_bytes());
        head.extend_from_slice(b": ");
        Self { head, body: body.clone() }
    }
}

/// A request on its way out.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The head, and the body where that is small.
    bytes: Vec<u8>,
    /// The body where it is large.
    rest: Bytes,
    written: usize,
}

impl Outgoing {
    /// The request of the call with this number.
    pub(super) fn begin(&mut self, template: &Template, call_id: u64) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&template.head);
        // Writing to memory does not fail.
        let _ = write!(self.bytes, "{call_id}\r\n\r\n");
        self.rest = Bytes::new();
        if template.body.len() <= COPIED_BODY_BYTES {
            self.bytes.extend_from_slice(&template.body);
        } else {
            self.rest = template.body.clone();
        }
        self.written = 0;
    }

    /// Begins to send the same request again.
    pub(super) fn rewind(&mut self) {
        self.written = 0;
    }

    /// Whether nothing has been written yet.
    pub(super) fn is_unwritten(&self) -> bool {
        self.written == 0
    }

    /// Whether all of it is written.
    pub(super) fn is_written(&self) -> bool {
        self.written == self.bytes.len() + self.rest.len()
    }

    /// Writes as much as the socket takes.
    pub(super) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while !self.is_written() {
            let result = match self.bytes.get(self.written..) {
                Some(head) if self.rest.is_empty() => socket.write(head),
                Some(head) => socket.write_vectored(&[IoSlice::new(head), IoSlice::new(&self.rest)]),
                None => socket.write(&self.rest[self.written - self.bytes.len()..]),
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes at a time.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.1);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn small_and_large_bodies_go_out_whole_whatever_the_socket_takes() {
        for size in [0, 10, COPIED_BODY_BYTES, COPIED_BODY_BYTES + 1, 100_000] {
            let body: Bytes = (0..size).map(|i| i as u8).collect();
            let template =
                Template { head: b"POST / HTTP/1.1\r\nx-testbed-call: ".to_vec(), body: body.clone() };
            let mut expected = b"POST / HTTP/1.1\r\nx-testbed-call: 1234\r\n\r\n".to_vec();
            expected.extend_from_slice(&body);
            let mut outgoing = Outgoing::default();
            for width in [7, 1000, usize::MAX] {
                outgoing.begin(&template, 1234);
                assert!(outgoing.is_unwritten() && !outgoing.is_written());
                let mut socket = Narrow(Vec::new(), width);
                outgoing.write_to(&mut socket).unwrap();
                assert!(outgoing.is_written() && socket.0 == expected, "{size} bytes by {width}");
                outgoing.rewind();
                let mut again = Narrow(Vec::new(), width);
                outgoing.write_to(&mut again).unwrap();
                assert!(again.0 == expected);
            }
        }
    }
}
