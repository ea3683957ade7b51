//! Frames on the line to a worker: a kind, a length, and so many bytes.

use std::io::{Error, ErrorKind, Result};

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a frame at most: a payload of 32 MiB and the like.
pub(super) const MOST_BYTES: usize = 64 << 20;
/// Bytes of the first frame at most, which may come from anybody.
pub(super) const MOST_GREETING_BYTES: usize = 4096;

/// What lies in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message, JSON.
    Message(Vec<u8>),
    /// Bytes that the message before has announced, or records.
    Bytes(Vec<u8>),
}

impl Frame {
    /// The message of a frame.
    pub(super) fn message<T: DeserializeOwned>(&self) -> Result<T> {
        match self {
            Self::Message(json) => serde_json::from_slice(json)
                .map_err(|error| broken(&format!("a message that is not understood ({error})"))),
            Self::Bytes(_) => Err(broken("bytes in place of a message")),
        }
    }

    /// The bytes of a frame.
    pub(super) fn bytes(self) -> Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Message(_) => Err(broken("a message in place of bytes")),
        }
    }
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the line carries {what}"))
}

/// Reads a frame; none at the line's end. Not to be given up half-way.
pub(super) async fn read<R: AsyncRead + Unpin>(input: &mut R, most_bytes: usize) -> Result<Option<Frame>> {
    let mut head = [0; 5];
    if let Err(error) = input.read_exact(&mut head).await {
        return if error.kind() == ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
    }
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    if length > most_bytes {
        return Err(broken("a frame that is too long"));
    }
    let mut content = vec![0; length];
    input.read_exact(&mut content).await?;
    match kind {
        b'm' => Ok(Some(Frame::Message(content))),
        b'b' => Ok(Some(Frame::Bytes(content))),
        _ => Err(broken("something that no harness sends")),
    }
}

/// Writes a message.
pub(super) async fn say<W: AsyncWrite + Unpin>(output: &mut W, message: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec(message).map_err(Error::other)?;
    write(output, b'm', &json).await
}

/// Writes bytes.
pub(super) async fn send<W: AsyncWrite + Unpin>(output: &mut W, bytes: &[u8]) -> Result<()> {
    write(output, b'b', bytes).await
}

async fn write<W: AsyncWrite + Unpin>(output: &mut W, kind: u8, content: &[u8]) -> Result<()> {
    let length = u32::try_from(content.len()).ok().filter(|&length| length as usize <= MOST_BYTES);
    let length = length.ok_or_else(|| broken("a frame that is too long"))?;
    // One write for small frames: what measures clocks must not wait for a second packet.
    let mut frame = Vec::with_capacity(5 + content.len());
    frame.push(kind);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(content);
    output.write_all(&frame).await?;
    output.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_as_they_went_in_and_then_the_line_ends() {
        let mut line = Vec::new();
        say(&mut line, &vec!["a", "b"]).await.unwrap();
        send(&mut line, &[1, 2, 3]).await.unwrap();
        let mut input = line.as_slice();
        let message = read(&mut input, MOST_BYTES).await.unwrap().unwrap();
        assert_eq!(message.message::<Vec<String>>().unwrap(), ["a", "b"]);
        assert_eq!(read(&mut input, MOST_BYTES).await.unwrap().unwrap().bytes().unwrap(), [1, 2, 3]);
        assert_eq!(read(&mut input, MOST_BYTES).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_stranger_is_not_given_memory() {
        for line in [&b"m\xff\xff\xff\xff"[..], b"GET / HTTP/1.1\r\n", b"x\0\0\0\x01a"] {
            let error = read(&mut &line[..], MOST_GREETING_BYTES).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        }
        assert_eq!(
            read(&mut &b"m\0\0\0\x09abc"[..], 100).await.unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
    }
}
