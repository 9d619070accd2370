//! Taking entries out, in batches.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    Cache,
    entry::Entry,
    index::{Batch, Departure, Index},
    time::Now,
};

/// How many entries were removed, and how many of them were still live.
#[derive(Default)]
pub(super) struct Removed {
    pub(super) all: u64,
    pub(super) live: u64,
}

impl Cache {
    /// Takes back the memory of all expired entries, and says of how many.
    ///
    /// Nothing depends on this for correctness. The cost is that of what has
    /// expired, whatever the number of live entries.
    pub fn reclaim(&self, now: Now) -> u64 {
        self.remove_everywhere(now, |index, _| index.due(now)).all
    }

    /// Removes what `select` finds in any stripe, batch after batch; it is
    /// handed the entry that the stripe's last batch ended with.
    pub(super) fn remove_everywhere(
        &self,
        now: Now,
        select: impl Fn(&Index, Option<&Entry>) -> Batch,
    ) -> Removed {
        let mut sum = Removed::default();
        for stripe in &self.stripes {
            let mut last = None;
            loop {
                let removed = self.remove(stripe, now, |index| {
                    let batch = select(index, last.as_deref());
                    last = batch.last;
                    batch.entries
                });
                sum.all += removed.all;
                sum.live += removed.live;
                if last.is_none() {
                    break;
                }
            }
        }
        sum
    }

    /// Removes what `select` finds under the stripe's lock, from index and
    /// tiers. It is dropped, and its memory zeroed, after the lock is released.
    pub(super) fn remove(
        &self,
        stripe: &Mutex<Index>,
        now: Now,
        select: impl FnOnce(&Index) -> Vec<Arc<Entry>>,
    ) -> Removed {
        let mut index = stripe.lock();
        let selected = select(&index);
        let mut live = 0;
        for entry in &selected {
            let why = match entry.deadline.left(now) {
                Some(_) => Departure::Invalidated,
                None => Departure::Expired,
            };
            index.remove(entry, why);
            self.tiers[entry.tier.index()].remove(entry);
            live += u64::from(why == Departure::Invalidated);
        }
        drop(index);
        Removed {
            all: selected.len() as u64,
            live,
        }
    }
}
