//! An accepted connection, as HTTP/2 reads and writes it: holds its place among
//! the connections there may be, and ends when its peer stays silent at the
//! start, takes nothing of what it is sent, or the server cuts it.

use std::{
    future::Future,
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{patience::Patience, workers::Place};

/// The bytes every HTTP/2 client sends first: `PRI * HTTP/2.0 …`.
const PREFACE_LEN: usize = 24;

/// A socket of either kind, of no runtime yet. It doesn't block.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A socket on the runtime that serves it.
#[derive(Debug)]
enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection within the limits.
#[derive(Debug)]
pub(super) struct Connection {
    io: Io,
    /// Until the preface is there: how much of it is missing, and the time-out.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    /// While the peer takes nothing: the time-out.
    stall: Option<Pin<Box<Sleep>>>,
    write_timeout: Duration,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: Place,
}

impl Connection {
    /// Takes the socket to the runtime that this is called on.
    ///
    /// # Errors
    /// The runtime can't wait for the socket.
    pub(super) fn new(
        socket: Socket,
        place: Place,
        patience: Patience,
        cut: CancellationToken,
    ) -> io::Result<Self> {
        Ok(Self {
            io: match socket {
                Socket::Tcp(socket) => Io::Tcp(TcpStream::from_std(socket)?),
                Socket::Unix(socket) => Io::Unix(UnixStream::from_std(socket)?),
            },
            preface: Some((PREFACE_LEN, Box::pin(sleep(patience.preface)))),
            stall: None,
            write_timeout: patience.write,
            cut: Box::pin(cut.cancelled_owned()),
            _place: place,
        })
    }

    /// Whether to end instead of waiting for the peer, which `timeout` bounds.
    ///
    /// Asked only when there's nothing to do, so that a busy connection pays
    /// nothing for it; the task is woken when the answer changes.
    fn poll_end(
        cut: &mut Pin<Box<WaitForCancellationFutureOwned>>,
        timeout: Option<&mut Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        if cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(ErrorKind::ConnectionAborted.into());
        }
        match timeout {
            Some(timeout) => timeout
                .as_mut()
                .poll(cx)
                .map(|()| ErrorKind::TimedOut.into()),
            None => Poll::Pending,
        }
    }

    /// Passes on what came of a write. While one waits, nothing is read, so
    /// this has to notice the end as well.
    fn after_write(
        &mut self,
        polled: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let timeout = self.write_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(timeout)));
        Self::poll_end(&mut self.cut, Some(stall), cx).map(Err)
    }

    fn count_preface(&mut self, read: usize) {
        self.preface = self
            .preface
            .take()
            .and_then(|(missing, timeout)| Some((missing.checked_sub(read)?, timeout)))
            .filter(|(missing, _)| *missing > 0);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = match &mut this.io {
            Io::Tcp(io) => Pin::new(io).poll_read(cx, buffer),
            Io::Unix(io) => Pin::new(io).poll_read(cx, buffer),
        };
        if polled.is_pending() {
            let timeout = this.preface.as_mut().map(|(_, timeout)| timeout);
            return Self::poll_end(&mut this.cut, timeout, cx).map(Err);
        }
        if this.preface.is_some() {
            this.count_preface(buffer.filled().len() - before);
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.io {
            Io::Tcp(io) => Pin::new(io).poll_write(cx, bytes),
            Io::Unix(io) => Pin::new(io).poll_write(cx, bytes),
        };
        this.after_write(polled, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.io {
            Io::Tcp(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Io::Unix(io) => Pin::new(io).poll_write_vectored(cx, slices),
        };
        this.after_write(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    // Sockets have nothing to flush, and shut down without waiting.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Tcp(io) => Pin::new(io).poll_flush(cx),
            Io::Unix(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Io::Unix(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
