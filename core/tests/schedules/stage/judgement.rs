//! The checks at the end of every schedule.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use credcache_core::{Count, Invalidate, NamespaceName, Target, TierCount};
use credcache_history as history;
use history::{Call, Operation};

use super::Stage;

/// How many Gets hit and missed in all schedules of a scenario.
#[derive(Default)]
pub(crate) struct Seen {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Stage {
    /// Checks the history, and whether index, tiers and counters agree at the end: everything that
    /// the index holds is found, and once it is empty, nothing is found.
    pub(crate) fn judge(&self, seen: &Seen) {
        seen.add(&self.record.lock().unwrap());
        self.reclaim();
        let names: BTreeSet<history::Name> = self
            .record
            .lock()
            .unwrap()
            .iter()
            .filter_map(name_of)
            .cloned()
            .collect();
        let found = || {
            let live = |name: &&history::Name| self.look_up((*name).clone()).is_some();
            names.iter().filter(live).count() as u64
        };
        let counted = self.sum(TierCount::Entries);
        assert_eq!(found(), counted, "index and tiers differ");

        assert_eq!(
            self.cache.counts(None).of(Count::Waiting),
            0,
            "waiters are left"
        );
        let record = std::mem::take(&mut *self.record.lock().unwrap());
        if let Err(violation) = history::check(&record, self.room) {
            panic!("{violation}");
        }
        for followed in &*self.followed.lock().unwrap() {
            followed.judge(&record);
        }
        let stored: BTreeSet<u64> = record.iter().filter_map(Operation::stored).collect();
        assert_eq!(self.cache.counts(None).of(Count::Puts), stored.len() as u64);

        for name in &names {
            let all = Invalidate {
                namespace: NamespaceName::parse(&name.namespace).unwrap(),
                target: Target::All,
                issued_before: None,
            };
            self.cache.invalidate(all, self.now());
        }
        let left = (
            found(),
            self.sum(TierCount::Entries),
            self.sum(TierCount::UsedBytes),
        );
        assert_eq!(
            left,
            (0, 0, 0),
            "found, counted, bytes after all was revoked"
        );
    }

    fn sum(&self, count: TierCount) -> u64 {
        let counts = self.cache.counts(None);
        let of_tier = |(tier, _)| counts.of_tier(tier, count);
        self.cache.tiers().map(of_tier).sum()
    }
}

fn name_of(operation: &Operation) -> Option<&history::Name> {
    match &operation.call {
        Call::Get(get) => Some(&get.name),
        Call::Put(put) => Some(&put.name),
        Call::Invalidate(_) | Call::Extend(_) | Call::Abandon(_) => None,
    }
}

impl Seen {
    fn add(&self, record: &[Operation]) {
        for operation in record {
            if let Call::Get(get) = &operation.call {
                let count = if get.hit.is_some() {
                    &self.hits
                } else {
                    &self.misses
                };
                count.fetch_add(1, Relaxed);
            }
        }
    }

    pub(crate) fn assert_both(&self) {
        let both = (self.hits.load(Relaxed), self.misses.load(Relaxed));
        assert!(both.0 > 0 && both.1 > 0, "hits and misses: {both:?}");
    }
}
