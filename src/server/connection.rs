//! An accepted connection, as tonic reads and writes it: holds its place among
//! the connections there may be, and ends when its peer stays silent at the
//! start or the server cuts it.

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
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// The bytes every HTTP/2 client sends first: `PRI * HTTP/2.0 …`.
const PREFACE_LEN: usize = 24;

/// A socket of either kind.
#[derive(Debug)]
pub(super) enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection within the limits.
#[derive(Debug)]
pub(super) struct Connection {
    io: Io,
    /// Until the preface is there: how much of it is missing, and the time-out.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(
        io: Io,
        slot: OwnedSemaphorePermit,
        preface_timeout: Duration,
        cut: CancellationToken,
    ) -> Self {
        Self {
            io,
            preface: Some((PREFACE_LEN, Box::pin(sleep(preface_timeout)))),
            cut: Box::pin(cut.cancelled_owned()),
            _slot: slot,
        }
    }

    /// Asked only when there's nothing to read, so that a busy connection pays
    /// nothing for it; the task is woken when the answer changes.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(ErrorKind::ConnectionAborted.into());
        }
        match &mut self.preface {
            Some((_, timeout)) => timeout
                .as_mut()
                .poll(cx)
                .map(|()| ErrorKind::TimedOut.into()),
            None => Poll::Pending,
        }
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
            return this.poll_end(cx).map(Err);
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
        match &mut self.get_mut().io {
            Io::Tcp(io) => Pin::new(io).poll_write(cx, bytes),
            Io::Unix(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Tcp(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Io::Unix(io) => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

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

impl Connected for Connection {
    /// No call is judged by its peer.
    type ConnectInfo = ();

    fn connect_info(&self) {}
}
