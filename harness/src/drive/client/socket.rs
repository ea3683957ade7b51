//! A socket of the generator's own loop, for what is written as tasks: hyper and TLS.

use std::{
    cell::{Cell, RefCell},
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use mio::{Interest, Registry, Token, net::TcpStream};
use slab::Slab;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Begins to connect; readiness comes with this token.
pub(super) fn connect(registry: &Registry, token: Token, address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

/// The sockets that tasks wait for.
#[derive(Default)]
pub(super) struct Sockets {
    /// Who waits for each of them.
    waiting: RefCell<Slab<Rc<Waiting>>>,
}

/// Who waits for a socket.
#[derive(Default)]
struct Waiting {
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
}

impl Sockets {
    /// Wakes whoever waits for this socket.
    pub(super) fn wake(&self, key: usize) {
        let waiting = self.waiting.borrow().get(key).cloned();
        if let Some(waiting) = waiting {
            [waiting.reader.take(), waiting.writer.take()].into_iter().flatten().for_each(Waker::wake);
        }
    }
}

/// An established connection, as tasks want it.
pub(super) struct AsyncSocket {
    stream: TcpStream,
    waiting: Rc<Waiting>,
    sockets: Rc<Sockets>,
    key: usize,
}

impl Drop for AsyncSocket {
    fn drop(&mut self) {
        self.sockets.waiting.borrow_mut().try_remove(self.key);
    }
}

impl AsyncSocket {
    /// Connects to an address; resolves when the connection is established.
    pub(super) async fn connect(
        sockets: Rc<Sockets>,
        registry: &Registry,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let waiting = Rc::new(Waiting::default());
        let key = sockets.waiting.borrow_mut().insert(Rc::clone(&waiting));
        let stream = connect(registry, Token(key * 2 + 1), address);
        let stream = stream.inspect_err(|_| {
            sockets.waiting.borrow_mut().try_remove(key);
        })?;
        let socket = Self { stream, waiting, sockets, key };
        std::future::poll_fn(|cx| socket.poll_established(cx)).await?;
        Ok(socket)
    }

    fn poll_established(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.stream.take_error()? {
            return Poll::Ready(Err(error));
        }
        match self.stream.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                self.waiting.writer.set(Some(cx.waker().clone()));
                Poll::Pending
            }
            other => Poll::Ready(other.map(drop)),
        }
    }

    /// Tries until it works or has to wait for the socket.
    fn poll<T>(
        waker: &Cell<Option<Waker>>,
        cx: &Context<'_>,
        mut work: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match work() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    waker.set(Some(cx.waker().clone()));
                    return Poll::Pending;
                }
                other => return Poll::Ready(other),
            }
        }
    }
}

impl AsyncRead for AsyncSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, waiting, .. } = &mut *self;
        let space = buf.initialize_unfilled();
        Self::poll(&waiting.reader, cx, || stream.read(space)).map_ok(|read| buf.advance(read))
    }
}

impl AsyncWrite for AsyncSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, waiting, .. } = &mut *self;
        Self::poll(&waiting.writer, cx, || stream.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, waiting, .. } = &mut *self;
        Self::poll(&waiting.writer, cx, || stream.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(std::net::Shutdown::Write))
    }
}
