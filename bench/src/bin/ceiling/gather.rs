//! Writes gathered: what a connection writes while it is polled goes to the
//! kernel in one piece when it has been. h2 writes a DATA frame of 256 bytes or
//! more by itself, so that else each answer takes a system call or two, and as
//! many packets.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The kernel gets what there is as soon as it is this much.
const MOST: usize = 64 * 1024;

/// A socket whose writes wait for [`drive`]. Clones are the same socket: one is
/// the connection's, the other the driver's, and both are one task.
pub(crate) struct Gathered<S>(Arc<Mutex<State<S>>>);

struct State<S> {
    socket: S,
    out: Vec<u8>,
    /// How much of `out` the kernel has.
    sent: usize,
}

/// Polls `connection`, and lets out what it has written each time it was.
pub(crate) async fn drive<S: AsyncWrite + Unpin>(connection: impl Future, socket: Gathered<S>) {
    let mut connection = pin!(connection);
    poll_fn(|cx| {
        let ended = connection.as_mut().poll(cx);
        // What the kernel doesn't take now wakes this task when it does; an
        // error is met again by the connection's next read.
        let _ = socket.state().poll_send(cx);
        ended.map(drop)
    })
    .await;
}

impl<S> Gathered<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self(Arc::new(Mutex::new(State {
            socket,
            out: Vec::with_capacity(2 * MOST),
            sent: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsyncWrite + Unpin> State<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let rest = &self.out[self.sent..];
            self.sent += ready!(Pin::new(&mut self.socket).poll_write(cx, rest))?;
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.len() < MOST {
            Poll::Ready(Ok(()))
        } else {
            self.poll_send(cx)
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.state().socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        ready!(state.poll_room(cx))?;
        let before = state.out.len();
        for slice in slices {
            state.out.extend_from_slice(slice);
        }
        Poll::Ready(Ok(state.out.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// [`drive`] does it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        ready!(state.poll_send(cx))?;
        Pin::new(&mut state.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn all_that_was_written_arrives_in_order_through_a_narrow_pipe() {
        let (ours, mut theirs) = duplex(1000);
        let socket = Gathered::new(ours);
        let mut writer = socket.clone();
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(5 * MOST).collect();
        let expected = bytes.clone();
        let writing = async move {
            writer.write_all(&bytes).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let reading = async {
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).await.unwrap();
            read
        };
        let ((), read) = tokio::join!(drive(writing, socket), reading);
        assert!(read == expected);
    }

    #[tokio::test]
    async fn writes_of_one_poll_go_out_together_at_its_end() {
        let (ours, mut theirs) = duplex(1000);
        let socket = Gathered::new(ours);
        let mut writer = socket.clone();
        writer.write_all(b"one ").await.unwrap();
        writer.flush().await.unwrap();
        writer.write_all(b"two").await.unwrap();
        assert!(socket.state().out == b"one two");
        drive(async {}, socket).await;
        let mut read = [0; 7];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"one two");
    }
}
