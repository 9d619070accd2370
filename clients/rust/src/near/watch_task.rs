//! Keeps a namespace's watch going, and applies its events.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::namespace_cache::NamespaceCache;
use crate::{
    Client, Error,
    clock::BootInstant,
    retry,
    watch::{Event, Watch},
};

/// A connection is given up after this long without a message, or after the bound if
/// that is longer: heartbeats come every second. A message after such a silence may
/// have been sent at any time within it.
const SHORTEST_SILENCE: Duration = Duration::from_secs(2);
/// Memory is reclaimed once in this many heartbeats.
const HEARTBEATS_PER_SWEEP: u32 = 10;

/// Reads the watch of one namespace, and ends only with its tokio task.
pub(super) struct WatchTask {
    client: Client,
    cache: Arc<NamespaceCache>,
    silence: Duration,
    /// The instance and revision of the last event, once there is one.
    instance_id: String,
    revision: u64,
    heartbeats: u32,
}

impl WatchTask {
    pub(super) fn new(client: Client, cache: Arc<NamespaceCache>, bound: Duration) -> Self {
        Self {
            client,
            cache,
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
            // Why the watch broke doesn't matter: the next one goes on where it stood,
            // and in the meantime the entries grow too old to be used.
            if let Ok(watch) = self.open().await {
                let _ = self.read(watch, &mut failures).await;
            }
            self.cache.set_watching(false);
            // No heartbeat triggers a sweep now, and expired entries must not be held
            // for as long as the server is unreachable.
            self.cache.sweep(BootInstant::now());
            sleep(retry::pause(failures, None, fastrand::f64())).await;
        }
    }

    async fn open(&mut self) -> Result<Watch, Error> {
        // Revision 0 means from now on: earlier events aren't sent.
        if self.instance_id.is_empty() || self.revision == 0 {
            self.cache.clear();
            self.instance_id.clear();
            self.revision = 0;
        }
        let cache = &self.cache;
        self.client
            .watch_from(cache.namespace(), &self.instance_id, self.revision)
            .await
    }

    async fn read(&mut self, mut watch: Watch, failures: &mut u32) -> Result<(), Error> {
        // The first message may have been delayed too.
        let mut last = watch.asked;
        let mut watching = false;
        loop {
            let event = timeout(self.silence, watch.next())
                .await
                .map_err(|_| Error::DeadlineExceeded)??;
            let now = BootInstant::now();
            // The machine slept, the network stood still, or this task wasn't run: how
            // long ago the message was sent is unknown. A new connection tells the
            // present state.
            if now.since(last) > self.silence {
                return Err(Error::DeadlineExceeded);
            }
            last = now;
            // An event proves nothing: where changes come faster than they are read
            // here, many more may be behind it. A heartbeat is sent when there are
            // none, and what was lost before a reset doesn't count.
            let is_proof = matches!(event, Event::Heartbeat { .. } | Event::Reset { .. });
            self.apply(event, now);
            if !is_proof {
                continue;
            }
            if watching {
                self.cache.mark_fresh(now);
            } else {
                watching = true;
                *failures = 0;
                self.cache.set_watching(true);
                // How long it took to connect and to answer isn't known, but the
                // answer is no older than the question.
                self.cache.mark_fresh(watch.asked);
            }
        }
    }

    fn apply(&mut self, event: Event, now: BootInstant) {
        match event {
            Event::Invalidated { target, revision } => {
                self.cache.invalidated(&target, revision);
                self.revision = self.revision.max(revision);
            }
            Event::Replaced {
                key,
                version,
                revision,
            } => {
                self.cache.replaced(&key, version);
                self.revision = self.revision.max(revision);
            }
            Event::Reset {
                instance_id,
                revision,
            } => {
                self.cache.reset();
                self.instance_id = instance_id;
                self.revision = revision;
            }
            Event::Heartbeat {
                instance_id,
                revision,
            } => {
                if self.instance_id != instance_id {
                    // Without an instance known before, nothing was cached either.
                    if self.instance_id.is_empty() {
                        self.cache.clear();
                    } else {
                        self.cache.reset();
                    }
                    self.instance_id = instance_id;
                    self.revision = 0;
                }
                self.revision = self.revision.max(revision);
                self.heartbeats = self.heartbeats.wrapping_add(1);
                if self.heartbeats.is_multiple_of(HEARTBEATS_PER_SWEEP) {
                    self.cache.sweep(now);
                }
            }
        }
    }
}
