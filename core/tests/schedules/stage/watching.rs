//! Watchers of a namespace.

use std::{future::poll_fn, sync::Arc};

use credcache_core::{NamespaceName, WatchEvent, WatchFrom, Watcher};
use credcache_history as history;
use history::{Call, Operation};
use shuttle::future::block_on;

use super::Stage;

/// The events that a watcher received.
pub(crate) struct Followed {
    namespace: &'static str,
    /// The revision after which the watcher began.
    start: u64,
    events: Vec<WatchEvent>,
}

impl Stage {
    /// Makes the cache remember the changes of a namespace from now on.
    pub(crate) fn keep_journal(&self, namespace: &'static str) {
        let watcher = self.watch(namespace, WatchFrom::Now);
        self.watchers.lock().unwrap().push(watcher);
    }

    /// Follows the changes of a namespace up to this revision. Calls `begins` once the watcher
    /// exists, and `sees` for each event.
    pub(crate) fn follow(
        &self,
        namespace: &'static str,
        from: WatchFrom,
        last: u64,
        begins: impl FnOnce(),
        mut sees: impl FnMut(&WatchEvent),
    ) {
        let mut watcher = self.watch(namespace, from);
        let start = watcher.position();
        begins();
        let mut events = Vec::new();
        while events.last().map_or(start, revision) < last {
            let next = block_on(poll_fn(|cx| watcher.poll_next(cx)));
            sees(&next);
            events.push(next);
        }
        self.followed.lock().unwrap().push(Followed {
            namespace,
            start,
            events,
        });
    }

    fn watch(&self, namespace: &'static str, from: WatchFrom) -> Watcher {
        let namespace = NamespaceName::parse(namespace).unwrap();
        Arc::clone(&self.cache).watch(namespace, from).unwrap()
    }
}

/// The revision up to which the event informs.
pub(crate) fn revision(event: &WatchEvent) -> u64 {
    match event {
        WatchEvent::Change(revision, _) | WatchEvent::Gap(revision) => *revision,
    }
}

impl Followed {
    /// Checks that each change after the start was received once and in order, or lies within a
    /// gap.
    pub(crate) fn judge(&self, record: &[Operation]) {
        let mut position = self.start;
        for event in &self.events {
            let next = revision(event);
            assert!(next > position, "{next} received after {position}");
            if let WatchEvent::Change(..) = event {
                let between = position + 1..next;
                let missed = record.iter().filter_map(|operation| self.change(operation));
                let missed: Vec<_> = missed.filter(|one| between.contains(one)).collect();
                assert!(missed.is_empty(), "{missed:?} never received");
            }
            position = next;
        }
    }

    fn change(&self, operation: &Operation) -> Option<u64> {
        match &operation.call {
            Call::Put(put) if put.name.namespace == self.namespace => {
                put.outcome.ok().map(|stored| stored.version)
            }
            Call::Invalidate(invalidate) if invalidate.namespace == self.namespace => {
                Some(invalidate.revision)
            }
            _ => None,
        }
    }
}
