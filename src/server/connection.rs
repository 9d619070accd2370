//! A connection: HTTP/2, its calls and their responses, in one task.
//!
//! The task goes by [turns], which are bounded in time, so that a peer with many
//! calls delays the other connections of its worker no longer than a peer with one.
//! Nothing is spawned for a call. A call that has to wait is a future in the
//! connection's own set, which polls only those that were woken.

mod call;
mod gate;
mod lifecycle;
pub(super) mod memory;
mod message;
mod peer;
mod reply;
mod socket;
mod turns;

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

pub(super) use self::socket::Accepted;
use self::{
    lifecycle::Lifecycle,
    memory::{ConnectionMemory, ServerMemory},
    peer::Peer,
    socket::Socket,
    turns::{Error, Turns},
};
use super::{
    calls::Calls,
    slot::Slot,
    stranger::{HTTP1_ANSWER, Protocol, Strangers},
    timeouts::Timeouts,
};
use crate::rpc::ConnectionShare;

/// What the headers of one call may take before HTTP/2 answers by itself, in
/// bytes: with 431, which tells a gRPC client next to nothing, and above four
/// times as much with the end of the connection. A quarter of it is what a call
/// may have; one in between is told so, and its headers are gone with that.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// After this many streams that the server reset for a peer's errors the connection
/// ends.
const MAX_ERROR_RESETS: usize = 1024;
/// What HTTP/2 takes of one response before it has written it, in bytes.
const MAX_SEND_BUFFER: usize = 64 * 1024;
/// What a peer may send of request bodies before they are read, in bytes: of one
/// call, and of all calls of a connection.
const WINDOW: u32 = 1024 * 1024;
/// How connections are bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many calls a connection may have in flight.
    pub(super) max_streams: u32,
    /// How much memory a connection may hold, in bytes.
    pub(super) memory: usize,
    /// How long a connection lives before its peer is asked to open another.
    pub(super) max_age: Duration,
    pub(super) timeouts: Timeouts,
}

/// Serves connections.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: h2::server::Builder,
    bounds: Bounds,
    calls: Calls,
    memory: Arc<ServerMemory>,
    /// Asks connections to end when their calls have.
    finish: CancellationToken,
    /// Ends connections at once.
    cut: CancellationToken,
}

impl Transport {
    pub(super) fn new(
        calls: Calls,
        bounds: Bounds,
        memory: Arc<ServerMemory>,
        finish: CancellationToken,
        cut: CancellationToken,
    ) -> Self {
        let mut http = h2::server::Builder::new();
        http.max_concurrent_streams(bounds.max_streams)
            .max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
            // All that are open may be cancelled while the server stands still.
            .max_pending_accept_reset_streams(bounds.max_streams as usize * 4)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_send_buffer_size(MAX_SEND_BUFFER)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        Self {
            http,
            bounds,
            calls,
            memory,
            finish,
            cut,
        }
    }

    /// The same with tokens of its own: they have locks that workers needn't share.
    pub(super) fn for_worker(&self) -> Self {
        Self {
            finish: self.finish.child_token(),
            cut: self.cut.child_token(),
            ..self.clone()
        }
    }

    /// Serves one connection to its end. Needs the runtime it is to stay on.
    pub(super) async fn serve(&self, accepted: Accepted, slot: Slot, strangers: &Strangers) {
        let memory = ConnectionMemory::new(self.bounds.memory, self.memory.clone());
        let socket = Socket::new(accepted, slot, self.bounds.timeouts, memory.clone());
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) => return debug!(%error, "a connection can't be served"),
        };
        let outcome = self.converse(socket.clone(), memory).await;
        // Why it ends, if the peer takes it at once.
        poll_fn(|cx| {
            let _ = socket.poll_send(cx);
            Poll::Ready(())
        })
        .await;
        if let Some(protocol) = socket.stranger() {
            strangers.met(protocol);
            if protocol == Protocol::Http1 {
                socket.close_with(HTTP1_ANSWER).await;
            }
        } else if socket.reading().is_abused {
            strangers.abused();
            socket.close().await;
        } else if let Err(error) = outcome {
            debug!(%error, "a connection failed");
        }
    }

    async fn converse(&self, socket: Socket, memory: Arc<ConnectionMemory>) -> Result<(), Error> {
        let wire = tokio::select! {
            biased;
            () = self.cut.cancelled() => return Err(Error::Cut),
            wire = self.http.handshake(socket.clone()) => wire?,
        };
        let max_streams = self.bounds.max_streams;
        let peer = Peer {
            calls: self.calls.clone(),
            memory,
            share: ConnectionShare::new(max_streams),
        };
        let lifecycle = Lifecycle {
            cut: self.cut.clone(),
            finish: self.finish.clone(),
            retires: Instant::now() + jittered(self.bounds.max_age),
        };
        Turns::new(wire, socket, peer, max_streams as usize, lifecycle).await
    }
}

/// Within a tenth of the time, so that connections that were opened together don't
/// end together.
fn jittered(age: Duration) -> Duration {
    let mut bits = [0; 4];
    // Without randomness they end together, which is no more than slow.
    let _ = getrandom::fill(&mut bits);
    let part = f64::from(u32::from_le_bytes(bits)) / f64::from(u32::MAX);
    age.mul_f64(0.9 + 0.2 * part)
}
