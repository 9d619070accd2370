//! HTTP/2 on one connection: hyper's, with bounds that hold whatever the peer
//! does.

use std::{future::poll_fn, io, pin::pin, task::Poll, time::Duration};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    calls::Calls,
    connection::{Connection, Socket},
    slot::Slot,
    stranger::{HTTP1_ANSWER, Protocol, Strangers},
    timeouts::Timeouts,
};

/// How often a connection is pinged, and how long the answer may take, before
/// the peer counts as gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// What the headers of one call may take before HTTP/2 answers by itself, in
/// bytes: with 431, which tells a gRPC client next to nothing, and above four
/// times as much with the end of the connection. A quarter of it is what a call
/// may have; one in between is told so, and its headers are gone with that.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// After this many streams reset for a client's errors its connection ends.
const MAX_ERROR_RESETS: usize = 1024;
/// What one stream may have waiting to be sent, in bytes, however large a window
/// its peer opens: a response that is never read holds no more than this and
/// the message it is cut from.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Http(hyper::Error),
    #[error("can't send: {0}")]
    Send(io::Error),
}

/// What every connection is served with.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: http2::Builder<TokioExecutor>,
    calls: Calls,
    timeouts: Timeouts,
    /// Asks connections to end when their calls have.
    finish: CancellationToken,
    /// Ends connections at once.
    cut: CancellationToken,
}

impl Transport {
    pub(super) fn new(
        calls: Calls,
        max_streams: u32,
        timeouts: Timeouts,
        finish: CancellationToken,
        cut: CancellationToken,
    ) -> Self {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(max_streams)
            .max_local_error_reset_streams(MAX_ERROR_RESETS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_send_buf_size(MAX_SEND_BUFFER)
            // gRPC has no use for it.
            .auto_date_header(false);
        Self {
            http,
            calls,
            timeouts,
            finish,
            cut,
        }
    }

    /// The same with tokens of its own: a token is asked whenever a connection
    /// has nothing to do, which takes a lock that workers needn't share.
    pub(super) fn for_worker(&self) -> Self {
        Self {
            finish: self.finish.child_token(),
            cut: self.cut.child_token(),
            ..self.clone()
        }
    }

    /// Serves one connection to its end. Needs the runtime it is to stay on.
    pub(super) async fn serve(&self, socket: Socket, slot: Slot, strangers: &Strangers) {
        let connection = match Connection::new(socket, slot, self.timeouts, self.cut.clone()) {
            Ok(connection) => connection,
            Err(error) => return debug!(%error, "a connection can't be served"),
        };
        let io = TokioIo::new(connection.clone());
        let mut serving = pin!(self.http.serve_connection(io, self.calls.clone()));
        let mut finish = pin!(self.finish.cancelled());
        let mut is_finishing = false;
        let outcome = poll_fn(|cx| {
            loop {
                if let Poll::Ready(outcome) = serving.as_mut().poll(cx) {
                    // Why it ends, if the peer takes it at once.
                    let _ = connection.poll_send(cx);
                    return Poll::Ready(outcome.map_err(Error::Http));
                }
                if is_finishing || finish.as_mut().poll(cx).is_pending() {
                    break;
                }
                is_finishing = true;
                serving.as_mut().graceful_shutdown();
            }
            match connection.poll_send(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(Error::Send(error))),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            }
        });
        let outcome = outcome.await;
        if let Some(protocol) = connection.stranger() {
            strangers.met(protocol);
            if protocol == Protocol::Http1 {
                connection.part_with(HTTP1_ANSWER).await;
            }
        } else if let Err(error) = outcome {
            debug!(%error, "a connection failed");
        }
    }
}
