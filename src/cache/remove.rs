//! Taking entries out, in batches.

use super::{
    Cache,
    entry::Entry,
    index::{BATCH, Batch, Departure, Index},
    stripe::Stripe,
    time::Now,
};

/// How many entries were removed, and how many of them were still live.
#[derive(Default)]
pub(super) struct Removed {
    pub(super) all: u64,
    pub(super) live: u64,
}

impl Cache {
    /// Takes back the memory of all that is over, and says of how many entries.
    /// Leases whose time is over go to the next who waits.
    ///
    /// Nothing else depends on this. The cost is that of what is over, whatever
    /// the number of live entries.
    pub fn reclaim(&self, now: Now) -> u64 {
        self.end_leases(now);
        self.ledger.forget(now);
        self.remove_everywhere(now, |index, _| index.due(now)).all
    }

    /// Removes what `select` finds in any stripe, batch after batch; it is
    /// handed the entry that the stripe's last batch ended with.
    pub(super) fn remove_everywhere(
        &self,
        now: Now,
        select: impl Fn(&mut Index, Option<&Entry>) -> Batch,
    ) -> Removed {
        let mut sum = Removed::default();
        let mut since_pause = 0;
        for stripe in &self.stripes {
            let mut last = None;
            loop {
                let removed = self.remove(stripe, now, |index| {
                    let batch = select(index, last.as_ref());
                    last = batch.last;
                    batch.entries
                });
                sum.all += removed.all;
                sum.live += removed.live;
                since_pause += removed.all;
                if since_pause >= BATCH as u64 {
                    since_pause = 0;
                    (self.pause)();
                }
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
        stripe: &Stripe,
        now: Now,
        select: impl FnOnce(&mut Index) -> Vec<Entry>,
    ) -> Removed {
        let mut stripe = stripe.lock();
        let selected = select(&mut stripe.index);
        let mut live = 0;
        for entry in &selected {
            let why = match entry.deadline().left(now) {
                Some(_) => Departure::Invalidated,
                None => Departure::Expired,
            };
            stripe.index.remove(entry, why);
            self.tiers[entry.tier().index()].remove(entry);
            if why == Departure::Invalidated {
                stripe.revoked.remember(entry.hash(&self.hasher), entry);
                live += 1;
            }
        }
        // A large removal takes the lock again at once: without it, whoever
        // waits for it would wait for several batches.
        stripe.give_way();
        drop(stripe);
        Removed {
            all: selected.len() as u64,
            live,
        }
    }
}
