//! Keeps a namespace's watch going, and does what it says.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::space::Space;
use crate::{Client, Error, Event, Watch, clock::BootInstant, retry};

/// Without a message for as long, or for the bound if that is longer, a
/// connection is given up: heartbeats come every second. What comes after such a
/// silence may have been sent any time within it.
const SHORTEST_SILENCE: Duration = Duration::from_secs(2);
/// Every so many heartbeats, memory is taken back.
const HEARTBEATS_A_SWEEP: u32 = 10;

/// Follows the watch of one namespace, and ends only with its task.
pub(super) struct Follower {
    client: Client,
    space: Arc<Space>,
    silence: Duration,
    /// Where the events stand, once that is known.
    instance_id: String,
    revision: u64,
    heartbeats: u32,
}

impl Follower {
    pub(super) fn new(client: Client, space: Arc<Space>, bound: Duration) -> Self {
        Self {
            client,
            space,
            silence: bound.max(SHORTEST_SILENCE),
            instance_id: String::new(),
            revision: 0,
            heartbeats: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            failures += 1;
            // Why it broke doesn't matter: it goes on where it stood, and in the
            // meantime what is kept grows too old to be used.
            if let Ok(watch) = self.open().await {
                let _ = self.read(watch, &mut failures).await;
            }
            self.space.establish(false);
            // No heartbeat does it now: what is over isn't held for as long as
            // the server is away.
            self.space.sweep(BootInstant::now());
            sleep(retry::pause(failures, None, fastrand::f64())).await;
        }
    }

    async fn open(&mut self) -> Result<Watch, Error> {
        // From revision 0 means from now: what happened up to then isn't told.
        if self.instance_id.is_empty() || self.revision == 0 {
            self.space.forget();
            self.instance_id.clear();
            self.revision = 0;
        }
        let space = &self.space;
        self.client
            .watch_from(&space.namespace, &self.instance_id, self.revision)
            .await
    }

    async fn read(&mut self, mut watch: Watch, failures: &mut u32) -> Result<(), Error> {
        // The first message too may have been held up.
        let mut last = watch.asked;
        let mut established = false;
        loop {
            let event = timeout(self.silence, watch.next())
                .await
                .map_err(|_| Error::DeadlineExceeded)??;
            let now = BootInstant::now();
            // The machine slept, the network stood still, or this task wasn't
            // run: who knows how long ago the message was sent. A new connection
            // says how things are now.
            if now.since(last) > self.silence {
                return Err(Error::DeadlineExceeded);
            }
            last = now;
            // An event proves nothing: where things change faster than they are
            // read here, many more may be behind it. A heartbeat is sent when
            // there are none, and what was lost before a reset doesn't count.
            let proves = matches!(event, Event::Heartbeat { .. } | Event::Reset { .. });
            self.heed(event, now);
            if !proves {
                continue;
            }
            if established {
                self.space.prove(now);
            } else {
                established = true;
                *failures = 0;
                self.space.establish(true);
                // What it took to connect and to answer isn't known, but for
                // this: the proof is no older than the question.
                self.space.prove(watch.asked);
            }
        }
    }

    fn heed(&mut self, event: Event, now: BootInstant) {
        match event {
            Event::Invalidated { target, revision } => {
                self.space.invalidated(&target, revision);
                self.revision = self.revision.max(revision);
            }
            Event::Replaced {
                key,
                version,
                revision,
            } => {
                self.space.replaced(&key, version);
                self.revision = self.revision.max(revision);
            }
            Event::Reset {
                instance_id,
                revision,
            } => {
                self.space.reset();
                self.instance_id = instance_id;
                self.revision = revision;
            }
            Event::Heartbeat {
                instance_id,
                revision,
            } => {
                if self.instance_id != instance_id {
                    // Of none known before, nothing was kept either.
                    if self.instance_id.is_empty() {
                        self.space.forget();
                    } else {
                        self.space.reset();
                    }
                    self.instance_id = instance_id;
                    self.revision = 0;
                }
                self.revision = self.revision.max(revision);
                self.heartbeats = self.heartbeats.wrapping_add(1);
                if self.heartbeats.is_multiple_of(HEARTBEATS_A_SWEEP) {
                    self.space.sweep(now);
                }
            }
        }
    }
}
