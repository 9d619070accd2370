//! Taking back the memory of what is over.

use crate::{
    cache::Cache,
    model::time::Now,
    work::{budget::Budget, scan::Scan},
};

/// A round of reclaiming, carried out step by step. One that is dropped half-way
/// leaves the rest to the next: nothing but memory, and how soon a lease goes to
/// the next who waits, depends on it.
#[must_use = "nothing is reclaimed but by its steps"]
pub struct Reclaim<'a> {
    cache: &'a Cache,
    now: Now,
    /// How many stripes have had their leases ended.
    stripes: usize,
    /// How many shards of the change log have forgotten.
    shards: usize,
    scan: Scan,
    removed: u64,
}

impl Cache {
    /// Takes back the memory of all that is over, and says of how many entries.
    /// Leases whose time is over go to the next who waits.
    ///
    /// Nothing else depends on this. The cost is that of what is over, whatever
    /// the number of live entries.
    pub fn reclaim(&self, now: Now) -> u64 {
        let mut reclaim = self.begin_reclaim(now);
        loop {
            if let Some(removed) = reclaim.step() {
                return removed;
            }
        }
    }

    /// Begins to do what [`reclaim`](Self::reclaim) does.
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
    /// Does a bounded part of it, and holds no lock afterwards. Says of how many
    /// entries there was memory to take back once all of it is done.
    pub fn step(&mut self) -> Option<u64> {
        let (cache, now) = (self.cache, self.now);
        let mut budget = Budget::of_a_step();
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
