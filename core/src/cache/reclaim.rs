//! Reclaiming the memory of expired entries.

use crate::{
    cache::Cache,
    model::time::Now,
    work::{budget::Budget, scan::Scan},
};

/// One round of reclaiming, done in steps. It may be dropped at any time: the next round does the
/// remaining work. Only memory, and how soon a due lease goes to the next waiter, depend on it.
#[must_use = "nothing is reclaimed but by its steps"]
pub struct Reclaim<'a> {
    cache: &'a Cache,
    now: Now,
    /// How many stripes have ended their due leases.
    stripes: usize,
    /// How many shards of the change log have forgotten what they no longer need.
    shards: usize,
    scan: Scan,
    removed: u64,
}

impl Cache {
    /// Reclaims the memory of all expired entries, and returns how many entries were removed.
    /// Leases that are due go to the next waiter.
    ///
    /// Correctness doesn't depend on this method. Its cost depends on the number of expired
    /// entries, not on the number of live entries.
    pub fn reclaim(&self, now: Now) -> u64 {
        let mut reclaim = self.begin_reclaim(now);
        loop {
            if let Some(removed) = reclaim.step() {
                return removed;
            }
        }
    }

    /// Begins the work of [`reclaim`](Self::reclaim), which continues with each [`Reclaim::step`].
    pub fn begin_reclaim(&self, now: Now) -> Reclaim<'_> {
        Reclaim {
            cache: self,
            now,
            stripes: 0,
            shards: 0,
            scan: Scan::default(),
            removed: 0,
        }
    }
}

impl Reclaim<'_> {
    /// Does a bounded part of the work, and releases all locks. Once everything is done, returns
    /// how many entries were removed.
    pub fn step(&mut self) -> Option<u64> {
        let (cache, now) = (self.cache, self.now);
        let mut budget = Budget::for_step();
        if !cache.end_leases(&mut self.stripes, now, &mut budget)
            || !cache.change_log.forget(&mut self.shards, now, &mut budget)
        {
            return None;
        }
        let (removed, is_all) = cache.scan(&mut self.scan, now, &mut budget, |index, _, budget| {
            index.due(now, budget)
        });
        self.removed += removed;
        is_all.then_some(self.removed)
    }
}
