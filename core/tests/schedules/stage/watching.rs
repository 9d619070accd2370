//! Those who watch a namespace.

use std::{future::poll_fn, sync::Arc};

use credcache_core::{NamespaceName, WatchEvent, WatchFrom, Watcher};
use credcache_history as history;
use history::{Call, Operation};
use shuttle::future::block_on;

use super::Stage;

/// What one who watched was told.
pub(crate) struct Followed {
    namespace: &'static str,
    /// The revision it began after.
    start: u64,
    told: Vec<WatchEvent>,
}

impl Stage {
    /// Has the changes of a namespace remembered from now on.
    pub(crate) fn keep_journal(&self, namespace: &'static str) {
        let watcher = self.watch(namespace, WatchFrom::Now);
        self.watchers.lock().unwrap().push(watcher);
    }

    /// Follows the changes of a namespace up to this revision: does something
    /// once it has begun, and sees to each change as it is told.
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
        let mut told = Vec::new();
        while told.last().map_or(start, revision) < last {
            let next = block_on(poll_fn(|cx| watcher.poll_next(cx)));
            sees(&next);
            told.push(next);
        }
        self.followed.lock().unwrap().push(Followed {
            namespace,
            start,
            told,
        });
    }

    fn watch(&self, namespace: &'static str, from: WatchFrom) -> Watcher {
        let namespace = NamespaceName::parse(namespace).unwrap();
        Arc::clone(&self.cache).watch(namespace, from).unwrap()
    }
}

/// Up to where this tells.
pub(crate) fn revision(told: &WatchEvent) -> u64 {
    match told {
        WatchEvent::Change(revision, _) | WatchEvent::Gap(revision) => *revision,
    }
}

impl Followed {
    /// Each change above the start was told once and in order, or lies within a
    /// gap that was.
    pub(crate) fn judge(&self, record: &[Operation]) {
        let mut position = self.start;
        for told in &self.told {
            let next = revision(told);
            assert!(next > position, "{next} told after {position}");
            if let WatchEvent::Change(..) = told {
                let between = position + 1..next;
                let missed = record.iter().filter_map(|operation| self.change(operation));
                let missed: Vec<_> = missed.filter(|one| between.contains(one)).collect();
                assert!(missed.is_empty(), "never told of {missed:?}");
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
