//! The memory that connections hold for their peers: request bodies until they
//! are answered, and responses until they are written.
//!
//! Guarantees that a connection holds no more than `limits.connection_memory`, and
//! all connections together no more than `limits.memory`, each but for the message
//! that is being made when the limit is reached. The nearer the total is to its
//! limit, the less one connection may hold: a share of what is free. Connections
//! that hold much therefore leave room for those that hold little.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use bytes::{Buf, Bytes};
use tokio::sync::Notify;

/// What a connection may hold in any case, in bytes: the responses to a few dozen
/// Gets. This much of each connection isn't counted for all of them together.
const BASE: usize = 16 * 1024;
/// The unit in which connections take of the memory of all, in bytes: so that
/// workers seldom meet there.
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
    held: AtomicUsize,
    /// What of that is taken of the memory of all.
    taken: AtomicUsize,
    /// The peer takes nothing at the moment.
    is_stalled: AtomicBool,
    /// How many responses wait for room.
    waiting: AtomicUsize,
    freed: Notify,
    server: Arc<ServerMemory>,
}

/// Some of a connection's memory, given back on drop.
#[derive(Debug)]
pub(in crate::server) struct Held {
    bytes: usize,
    memory: Arc<ConnectionMemory>,
}

/// Part of a response, counted until HTTP/2 has written it.
#[derive(Debug)]
pub(in crate::server) struct Payload {
    bytes: Bytes,
    _held: Held,
}

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
    /// `limit` is in bytes.
    pub(in crate::server) fn new(limit: usize, server: Arc<ServerMemory>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            is_stalled: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            server,
        })
    }

    /// Whether a further message may be made or received.
    pub(in crate::server) fn has_room(&self) -> bool {
        let held = self.held.load(Relaxed);
        held < BASE || held < self.limit.min(self.server.free() / SHARE)
    }

    /// Whether a response may be made now: nothing is made for a peer that takes
    /// nothing.
    pub(in crate::server) fn may_respond(&self) -> bool {
        !self.is_stalled.load(Relaxed) && self.has_room()
    }

    /// Waits until a response may be made. Responses that wait are made in order.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue, and the next in it has its turn.
    pub(in crate::server) async fn until_may_respond(&self) {
        if self.may_respond() {
            return;
        }
        let _waits = Waits::begin(&self.waiting);
        loop {
            self.freed.notified().await;
            if self.may_respond() {
                return;
            }
        }
    }

    /// Lets the response that has waited longest look for room.
    fn notify_next(&self) {
        if self.waiting.load(Relaxed) > 0 && self.may_respond() {
            self.freed.notify_one();
        }
    }

    /// Notes whether the peer takes what it is sent.
    pub(in crate::server) fn set_stalled(&self, is_stalled: bool) {
        self.is_stalled.store(is_stalled, Relaxed);
        if !is_stalled {
            self.notify_next();
        }
    }

    /// Counts this many bytes as held, whether or not there is room.
    pub(in crate::server) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.count(self.held.load(Relaxed) + bytes);
        self.notify_next();
        Held {
            bytes,
            memory: self.clone(),
        }
    }

    fn count(&self, held: usize) {
        self.held.store(held, Relaxed);
        let taken = self.taken.load(Relaxed);
        let counted = held.saturating_sub(BASE);
        if counted > taken {
            let more = (counted - taken).next_multiple_of(UNIT);
            self.taken.store(taken + more, Relaxed);
            self.server.taken.fetch_add(more, Relaxed);
        } else if counted + 2 * UNIT <= taken || (counted == 0 && taken > 0) {
            self.taken.store(counted.next_multiple_of(UNIT), Relaxed);
            let less = taken - counted.next_multiple_of(UNIT);
            self.server.taken.fetch_sub(less, Relaxed);
        }
    }
}

impl Held {
    /// Divides the memory: this many bytes, or all there are, are the result's.
    pub(in crate::server) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            bytes,
            memory: self.memory.clone(),
        }
    }

    /// Counts more bytes.
    pub(in crate::server) fn add(&mut self, bytes: usize) {
        self.memory.count(self.memory.held.load(Relaxed) + bytes);
        self.bytes += bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let held = self.memory.held.load(Relaxed);
            self.memory.count(held.saturating_sub(self.bytes));
            self.memory.notify_next();
        }
    }
}

/// Counts a response that waits.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Payload {
    pub(in crate::server) fn new(bytes: Bytes, held: Held) -> Self {
        Self { bytes, _held: held }
    }
}

impl Buf for Payload {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
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
        let server = server(64 * MIB);
        let connections: Vec<_> = (0..200)
            .map(|_| ConnectionMemory::new(8 * MIB, server.clone()))
            .collect();
        let mut held = Vec::new();
        // Each takes what it may, in messages of this size, until none may.
        const MESSAGE: usize = 100 * 1024;
        loop {
            let before = held.len();
            for connection in &connections {
                if connection.has_room() {
                    held.push(connection.hold(MESSAGE));
                }
            }
            if held.len() == before {
                break;
            }
        }
        for connection in &connections {
            assert!(connection.held.load(Relaxed) < 8 * MIB + MESSAGE);
        }
        let taken = server.taken.load(Relaxed);
        assert!(taken < 64 * MIB + connections.len() * MESSAGE, "{taken}");
        // Nobody has taken everything: a newcomer has room.
        let newcomer = ConnectionMemory::new(8 * MIB, server.clone());
        assert!(newcomer.has_room());
        held.clear();
        assert_eq!(server.taken.load(Relaxed), 0);
    }

    #[test]
    fn one_connection_alone_may_hold_all_of_its_limit() {
        let connection = ConnectionMemory::new(8 * MIB, server(256 * MIB));
        let mut held = Vec::new();
        while connection.has_room() {
            held.push(connection.hold(MIB));
        }
        assert_eq!(held.len(), 8);
        held.pop();
        assert!(connection.has_room());
    }

    #[test]
    fn part_that_is_split_off_counts_once() {
        let connection = ConnectionMemory::new(8 * MIB, server(256 * MIB));
        let mut held = connection.hold(MIB);
        held.add(MIB);
        let part = held.split(3 * MIB / 2);
        drop(part);
        assert_eq!(connection.held.load(Relaxed), MIB / 2);
        drop(held);
        assert_eq!(connection.held.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn response_waits_for_room_and_for_a_peer_that_takes_something() {
        let connection = ConnectionMemory::new(MIB, server(256 * MIB));
        let held = connection.hold(MIB);
        let waiting = tokio::spawn({
            let connection = connection.clone();
            async move { connection.until_may_respond().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        connection.set_stalled(true);
        drop(held);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        connection.set_stalled(false);
        waiting.await.unwrap();
    }
}
