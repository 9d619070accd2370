//! The memory that connections hold for their peers: requests until they are answered,
//! and responses until they are written.
//!
//! Guarantees that a connection holds no more than `limits.connection_memory` for
//! requests and as much for responses, and that all connections together hold no more
//! than `limits.memory`, besides a small base for each. What doesn't fit is not held: a
//! request is refused, and a response waits for the connection's own responses or, if
//! there are none, is refused. The nearer the total is to its limit, the less one
//! connection may hold: a share of what is free. Connections that hold much therefore
//! leave room for those that hold little.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use tokio::sync::Notify;

/// What a connection may hold of each kind in any case, in bytes: the responses to a few
/// dozen Gets. This much of each connection isn't counted for all of them together.
const BASE: usize = 16 * 1024;
/// The unit in which connections take of the memory of all, in bytes, so that workers
/// seldom meet there.
const UNIT: usize = 64 * 1024;
/// A connection may hold this part of what is free for all of them.
const SHARE: usize = 4;

/// The memory of all connections together.
#[derive(Debug)]
pub(in crate::server) struct ServerMemory {
    limit: usize,
    taken: AtomicUsize,
}

/// The memory of one connection.
///
/// Only the connection's own thread counts here; the atomics are there for the
/// compiler, which can't know.
#[derive(Debug)]
pub(in crate::server) struct ConnectionMemory {
    limit: usize,
    requests: AtomicUsize,
    responses: AtomicUsize,
    /// What of that is taken of the memory of all.
    taken: AtomicUsize,
    /// The peer accepts nothing at the moment.
    is_stalled: AtomicBool,
    /// How many responses wait for room.
    waiting: AtomicUsize,
    freed: Notify,
    server: Arc<ServerMemory>,
}

/// What memory is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
}

/// Some of a connection's memory, given back on drop.
#[derive(Debug)]
pub(in crate::server) struct Held {
    bytes: usize,
    kind: Kind,
    memory: Arc<ConnectionMemory>,
}

/// A response with its memory.
struct Counted<R> {
    response: R,
    _held: Held,
}

impl<R: AsRef<[u8]>> AsRef<[u8]> for Counted<R> {
    fn as_ref(&self) -> &[u8] {
        self.response.as_ref()
    }
}

/// There is no room for this, and waiting wouldn't help.
#[derive(Debug)]
pub(in crate::server) struct MemoryFull;

impl ServerMemory {
    /// `limit` is in bytes.
    pub(in crate::server) fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: AtomicUsize::new(0),
        }
    }

    fn free(&self) -> usize {
        self.limit.saturating_sub(self.taken.load(Relaxed))
    }
}

impl ConnectionMemory {
    /// `limit` is in bytes, of each kind.
    pub(in crate::server) fn new(limit: usize, server: Arc<ServerMemory>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            requests: AtomicUsize::new(0),
            responses: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            is_stalled: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            server,
        })
    }

    /// Whether the peer accepts what it is sent. Nothing is made for one that doesn't.
    pub(in crate::server) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Relaxed)
    }

    /// Notes whether the peer accepts what it is sent.
    pub(in crate::server) fn set_stalled(&self, is_stalled: bool) {
        self.is_stalled.store(is_stalled, Relaxed);
        self.notify_next();
    }

    /// Holds this many bytes of a request.
    ///
    /// # Errors
    /// They don't fit.
    pub(in crate::server) fn hold_request(
        self: &Arc<Self>,
        bytes: usize,
    ) -> Result<Held, MemoryFull> {
        let mut held = self.held(Kind::Request, 0);
        held.add(bytes)?;
        Ok(held)
    }

    /// Holds this many bytes that are waiting to be written, whether or not they fit.
    pub(in crate::server) fn hold_unwritten(self: &Arc<Self>, bytes: usize) -> Held {
        self.held(Kind::Response, bytes)
    }

    /// A response whose memory counts as held until the last part of it is dropped.
    pub(in crate::server) fn hold_response(
        self: &Arc<Self>,
        response: impl AsRef<[u8]> + Send + 'static,
    ) -> Bytes {
        let held = self.held(Kind::Response, response.as_ref().len());
        Bytes::from_owner(Counted {
            response,
            _held: held,
        })
    }

    /// Whether a response of this many bytes fits.
    pub(in crate::server) fn fits(&self, bytes: usize) -> bool {
        self.has_room(Kind::Response, bytes)
    }

    /// Waits until a response of this many bytes fits and the peer accepts something.
    ///
    /// # Errors
    /// It doesn't fit although the connection holds no other response.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue, and the next in it has its turn.
    pub(in crate::server) async fn until_fits(&self, bytes: usize) -> Result<(), MemoryFull> {
        let _waits = Waits::begin(self);
        loop {
            if !self.is_stalled() {
                if self.fits(bytes) {
                    return Ok(());
                }
                if self.responses.load(Relaxed) == 0 {
                    return Err(MemoryFull);
                }
            }
            self.freed.notified().await;
        }
    }

    /// Lets the response that has waited longest look for room.
    fn notify_next(&self) {
        if self.waiting.load(Relaxed) > 0 && !self.is_stalled() {
            self.freed.notify_one();
        }
    }

    fn has_room(&self, kind: Kind, bytes: usize) -> bool {
        let held = self.of(kind).load(Relaxed).saturating_add(bytes);
        held <= BASE || held <= self.limit.min(self.server.free() / SHARE)
    }

    fn of(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Request => &self.requests,
            Kind::Response => &self.responses,
        }
    }

    fn held(self: &Arc<Self>, kind: Kind, bytes: usize) -> Held {
        self.set(kind, self.of(kind).load(Relaxed) + bytes);
        Held {
            bytes,
            kind,
            memory: self.clone(),
        }
    }

    fn set(&self, kind: Kind, held: usize) {
        self.of(kind).store(held, Relaxed);
        let counted = |kind| self.of(kind).load(Relaxed).saturating_sub(BASE);
        let counted = counted(Kind::Request) + counted(Kind::Response);
        let taken = self.taken.load(Relaxed);
        let needed = counted.next_multiple_of(UNIT);
        if needed > taken {
            self.taken.store(needed, Relaxed);
            self.server.taken.fetch_add(needed - taken, Relaxed);
        } else if needed + UNIT < taken || (needed == 0 && taken > 0) {
            self.taken.store(needed, Relaxed);
            self.server.taken.fetch_sub(taken - needed, Relaxed);
        }
    }
}

impl Held {
    /// Holds more bytes.
    ///
    /// # Errors
    /// They don't fit.
    pub(in crate::server) fn add(&mut self, bytes: usize) -> Result<(), MemoryFull> {
        if bytes > 0 && !self.memory.has_room(self.kind, bytes) {
            return Err(MemoryFull);
        }
        let held = self.memory.of(self.kind).load(Relaxed);
        self.memory.set(self.kind, held + bytes);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = self.memory.of(self.kind).load(Relaxed);
        self.memory.set(self.kind, held.saturating_sub(self.bytes));
        self.memory.notify_next();
    }
}

/// A response that waits. Its end, whatever it is, lets the next have its turn.
struct Waits<'a>(&'a ConnectionMemory);

impl<'a> Waits<'a> {
    fn begin(memory: &'a ConnectionMemory) -> Self {
        memory.waiting.fetch_add(1, Relaxed);
        Self(memory)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
        self.0.notify_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn server(limit: usize) -> Arc<ServerMemory> {
        Arc::new(ServerMemory::new(limit))
    }

    #[test]
    fn connection_holds_its_limit_and_all_of_them_theirs() {
        const MESSAGE: usize = 100 * 1024;
        let server = server(64 * MIB);
        let connections: Vec<_> = (0..200)
            .map(|_| ConnectionMemory::new(8 * MIB, server.clone()))
            .collect();
        let mut held = Vec::new();
        // Each takes what it may, until none may.
        loop {
            let before = held.len();
            for connection in &connections {
                if connection.fits(MESSAGE) {
                    held.push(connection.hold_unwritten(MESSAGE));
                }
            }
            if held.len() == before {
                break;
            }
        }
        assert!(server.taken.load(Relaxed) <= 64 * MIB);
        // Whatever they hold, a newcomer has room beyond its base.
        let newcomer = ConnectionMemory::new(8 * MIB, server.clone());
        assert!(newcomer.fits(BASE + MESSAGE));
        held.clear();
        assert_eq!(server.taken.load(Relaxed), 0);
    }

    #[test]
    fn one_connection_alone_may_hold_all_of_its_limit_and_no_more_of_each_kind() {
        let server = server(256 * MIB);
        let connection = ConnectionMemory::new(8 * MIB, server.clone());
        let mut responses = Vec::new();
        while connection.fits(MIB) {
            responses.push(connection.hold_response(vec![0; MIB]));
        }
        assert_eq!(responses.len(), 8);
        let mut request = connection.hold_request(7 * MIB).unwrap();
        request.add(MIB).unwrap();
        assert!(request.add(1).is_err());
        assert!(connection.hold_request(1).is_err());
        assert!(server.taken.load(Relaxed) >= 16 * MIB - 2 * BASE);
        responses.pop();
        assert!(connection.fits(MIB));
    }

    #[test]
    fn response_counts_whole_until_its_last_part_is_dropped() {
        let connection = ConnectionMemory::new(8 * MIB, server(256 * MIB));
        let mut response = connection.hold_response(vec![0; MIB]);
        let last = response.split_off(MIB - 1);
        drop(response);
        assert_eq!(connection.responses.load(Relaxed), MIB);
        drop(last);
        assert_eq!(connection.responses.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn response_waits_for_room_and_for_a_peer_that_accepts_something() {
        let connection = ConnectionMemory::new(MIB, server(256 * MIB));
        let held = connection.hold_unwritten(MIB);
        let waiting = tokio::spawn({
            let connection = connection.clone();
            async move { connection.until_fits(MIB).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        connection.set_stalled(true);
        drop(held);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        connection.set_stalled(false);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn every_response_that_waits_has_its_turn_though_others_go_or_are_refused() {
        let connection = ConnectionMemory::new(MIB, server(256 * MIB));
        let held = connection.hold_unwritten(MIB);
        let wait = |bytes| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.until_fits(bytes).await.is_ok() })
        };
        let (gone, too_large, fits, also) = (wait(MIB), wait(2 * MIB), wait(MIB), wait(MIB));
        tokio::task::yield_now().await;
        gone.abort();
        drop(held);
        assert!(!too_large.await.unwrap());
        assert!(fits.await.unwrap());
        assert!(also.await.unwrap());
    }
}
