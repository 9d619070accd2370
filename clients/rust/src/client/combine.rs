//! Gets that are waiting to be sent at the same moment travel together.
//!
//! A Get that finds no other one under way is sent at once, by itself. The others wait
//! in a [`Queue`] until a [`Sender`] takes them, which is when the runtime has gone
//! through the tasks that are ready, and one of the connections has no batch under way.
//! No timer is involved.
//!
//! Guarantees for each Get that its message is sent after it was called: nothing joins
//! a message that was taken. A sender is a task of the client, so the end of one caller
//! leaves the other Gets alone; if a sender ends, those that wait go on by themselves.

mod batch;
mod queue;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, select, sync::oneshot, task::yield_now, time::Instant};

use self::{
    batch::{Answers, Batch},
    queue::{Answer, Group, Queue},
};
use super::connections::Connections;
use crate::{lookup::Lookup, server_clock::ServerClock};

/// The most batches that are under way on a connection.
const MAX_PER_CONNECTION: usize = 1;
/// How often a sender lets ready tasks go first, as long as each time so many of them
/// brought a Get that others may follow.
const MAX_TURNS: usize = 16;
const WORTH_A_TURN: usize = 16;
/// The most keys that a message may have.
const MAX_KEYS: usize = 1000;
/// The bytes of credentials that a batch is to bring at most. The server answers 4 MiB.
const MAX_BYTES: usize = 1024 * 1024;
/// What a credential takes in an answer beside its parts.
const OVERHEAD: usize = 64;

/// Sends the Gets of a client, several in a message where they come together.
#[derive(Debug)]
pub(crate) struct Combiner {
    connections: Arc<Connections>,
    server_clock: Arc<ServerClock>,
    /// The runtime that the connections belong to.
    runtime: Handle,
    state: Mutex<State>,
}

struct State {
    queue: Queue,
    /// Gets under way that were sent by themselves.
    alone: usize,
    senders: usize,
    /// The senders that haven't taken their next batch yet.
    gathering: usize,
    /// How many batches are under way on each connection.
    in_flight: Box<[usize]>,
    /// Whether the latest batch held several Gets, so that a Get has company even if
    /// nothing is under way.
    crowded: bool,
    /// The bytes that a credential takes, as far as answers have shown.
    expected_bytes: usize,
}

/// How a Get goes on.
pub(super) enum Route<'a> {
    /// By itself.
    Alone(Option<Alone<'a>>),
    /// In a message with others. Without an answer it goes on by itself.
    Together(oneshot::Receiver<Answer>),
}

/// A Get under way that was sent by itself, although it could have waited for others.
pub(super) struct Alone<'a>(&'a Combiner);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.state().alone -= 1;
    }
}

impl Combiner {
    /// Must be called within the runtime that the connections were made in.
    pub(super) fn new(connections: Arc<Connections>, server_clock: Arc<ServerClock>) -> Self {
        let state = State {
            queue: Queue::default(),
            alone: 0,
            senders: 0,
            gathering: 0,
            in_flight: vec![0; connections.count()].into(),
            crowded: false,
            expected_bytes: MAX_BYTES / MAX_KEYS,
        };
        Self {
            connections,
            server_clock,
            runtime: Handle::current(),
            state: Mutex::new(state),
        }
    }

    /// Decides how a Get goes on whose caller gives it up at `deadline`.
    pub(super) fn route(
        self: &Arc<Self>,
        name: (&str, &str),
        min_ttl: Option<Duration>,
        deadline: Instant,
    ) -> Route<'_> {
        let mut state = self.state();
        if state.alone == 0 && state.senders == 0 && !state.crowded {
            state.alone += 1;
            return Route::Alone(Some(Alone(self)));
        }
        let Some(answer) = state.queue.push(name, min_ttl, deadline) else {
            return Route::Alone(None);
        };
        if state.gathering == 0 && state.senders < MAX_PER_CONNECTION * state.in_flight.len() {
            state.gathering += 1;
            state.senders += 1;
            drop(state);
            let sender = Sender {
                combiner: Arc::clone(self),
                phase: Phase::Gathering,
            };
            self.runtime.spawn(sender.run());
        }
        Route::Together(answer)
    }

    // Never held over an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("alone", &self.alone)
            .field("senders", &self.senders)
            .finish_non_exhaustive()
    }
}

/// Takes batches from the queue and sends them, until there are no more.
struct Sender {
    combiner: Arc<Combiner>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Gathering,
    /// A batch is under way on this connection.
    Sending(usize),
    Ended,
}

impl Sender {
    async fn run(mut self) {
        loop {
            self.gather().await;
            let Some((group, connection)) = self.take() else {
                return;
            };
            let Some((mut batch, message)) = Batch::new(group) else {
                self.sent(None);
                continue;
            };
            let channel = self.combiner.connections.at(connection);
            let answers = select! {
                answers = message.send(channel) => answers,
                () = batch.abandoned() => {
                    self.sent(None);
                    continue;
                }
            };
            let several = batch.len() > 1;
            if let Ok(answers) = &answers {
                self.learn(answers);
            }
            // A caller that is alone again finds no sender.
            let ended = self.sent(Some(several));
            batch.hand_out(answers.map(|(answers, _)| answers));
            if ended {
                return;
            }
        }
    }

    /// Lets the tasks that are ready, such as those that the latest answers woke, go
    /// first: they may have more to send.
    async fn gather(&self) {
        for _ in 0..MAX_TURNS {
            let before = self.combiner.state().queue.len();
            yield_now().await;
            // The runtime goes through some of its tasks at a time.
            if self.combiner.state().queue.len() < before + WORTH_A_TURN {
                return;
            }
        }
    }

    /// The next batch, and the connection to send it on. Ends this sender if there is
    /// none.
    fn take(&mut self) -> Option<(Group, usize)> {
        let mut state = self.combiner.state();
        state.gathering -= 1;
        let most = (MAX_BYTES / state.expected_bytes).clamp(1, MAX_KEYS);
        let Some(group) = state.queue.take(most) else {
            state.senders -= 1;
            state.crowded = false;
            self.phase = Phase::Ended;
            return None;
        };
        state.crowded = group.gets.len() > 1;
        // The others go on if one connection is stuck.
        let (connection, in_flight) = state
            .in_flight
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, in_flight)| **in_flight)?;
        *in_flight += 1;
        self.phase = Phase::Sending(connection);
        Some((group, connection))
    }

    /// Ends the sending. Returns whether this sender ends with it: nobody waits, and
    /// there was no company that may come back.
    fn sent(&mut self, several: Option<bool>) -> bool {
        let mut state = self.combiner.state();
        if let Phase::Sending(connection) = self.phase {
            state.in_flight[connection] -= 1;
        }
        let ends = several == Some(false) && state.queue.len() == 0;
        if ends {
            state.senders -= 1;
            self.phase = Phase::Ended;
        } else {
            state.gathering += 1;
            self.phase = Phase::Gathering;
        }
        ends
    }

    fn learn(&self, (answers, sent): &Answers) {
        let hits = || {
            answers.iter().filter_map(|answer| match answer {
                Ok(Lookup::Hit(credential)) => Some(credential.seen()),
                _ => None,
            })
        };
        let Some(first) = hits().next() else { return };
        let ttl = first.deadline.since(*sent);
        let clock = &self.combiner.server_clock;
        clock.received(first.expires_at, ttl, *sent);
        let bytes: usize = hits().map(|hit| hit.size() + OVERHEAD).sum();
        let each = bytes / hits().count().max(1);
        let mut state = self.combiner.state();
        // Quick to rise and slow to fall.
        let fallen = state.expected_bytes - state.expected_bytes / 8;
        state.expected_bytes = each.max(fallen).max(1);
    }
}

impl Drop for Sender {
    /// A sender that ends too soon, with its runtime, leaves nobody waiting for it.
    fn drop(&mut self) {
        let left = {
            let mut state = self.combiner.state();
            match self.phase {
                Phase::Ended => return,
                Phase::Gathering => state.gathering -= 1,
                Phase::Sending(connection) => state.in_flight[connection] -= 1,
            }
            state.senders -= 1;
            state.crowded = false;
            state.queue.clear()
        };
        drop(left);
    }
}
