//! Taking entries out: under one holding of a stripe's lock, or of all stripes
//! in steps between which no lock is held and others have their turn.

use super::{
    Cache,
    entry::Entry,
    index::{Batch, Departure, Index},
    ledger::Current,
    name::Name,
    stripe::{Parts, Stripe},
    time::{Deadline, Now},
    tree::Summary,
};

/// Where a search through all stripes goes on.
#[derive(Default)]
pub(super) struct Search {
    stripe: usize,
    /// The entry of the stripe that was looked at last, if there may be more
    /// behind it.
    last: Option<Entry>,
}

/// What is left of a step, in looks at an entry. A step is bounded by it in time,
/// not to the look, and never so small that it comes no further.
pub(super) struct Budget(usize);

/// A step removes some 16 entries of up to 1 KiB, in 23 µs where they lie
/// scattered over 100,000, or looks at some 256. Half as much made the median
/// of the Gets beside it a sixth shorter, and the whole a quarter longer.
const STEP: usize = 256;
/// What removing an entry takes, beside its value.
const REMOVAL: usize = 15;
/// How many bytes of a value are zeroed and given back in the time of a look.
const BYTES_A_LOOK: u32 = 1024;
/// What it takes to lock a stripe, or to find a place in a tree.
const PLACE: usize = 4;

// A step that removes nothing is through with a block at least: where it breaks
// off inside of one, the next step begins that block anew.
const _: () = assert!(STEP > <Deadline as Summary<Entry>>::MOST_ITEMS + PLACE);

impl Search {
    /// Removes what `select` finds, for the length of a step. Returns how many
    /// entries that were, and whether it was all. `select` is handed the entry that it goes on behind.
    pub(super) fn step(
        &mut self,
        cache: &Cache,
        now: Now,
        budget: &mut Budget,
        mut select: impl FnMut(&mut Index, Option<&Entry>, &mut Budget) -> Batch,
    ) -> (u64, bool) {
        let mut sum = 0;
        while !budget.is_spent()
            && let Some(stripe) = cache.stripes.get(self.stripe)
        {
            budget.find_place();
            // May be the last handle of one that went: dropped outside of the lock.
            let last = self.last.take();
            sum += cache.remove(stripe, now, |index| {
                let batch = select(index, last.as_ref(), budget);
                self.last = batch.last;
                batch.entries
            });
            if self.last.is_none() {
                self.stripe += 1;
            }
        }
        (sum, self.stripe == cache.stripes.len())
    }
}

impl Budget {
    pub(super) fn of_a_step() -> Self {
        Self(STEP)
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0 == 0
    }

    pub(super) fn find_place(&mut self) {
        self.spend(PLACE);
    }

    pub(super) fn look(&mut self) {
        self.spend(1);
    }

    /// To remove an entry that was looked at.
    pub(super) fn remove(&mut self, entry: &Entry) {
        self.spend(REMOVAL + (entry.weight() / BYTES_A_LOOK) as usize);
    }

    /// To remove something that is about as much work as an entry.
    pub(super) fn remove_other(&mut self) {
        self.spend(REMOVAL);
    }

    fn spend(&mut self, looks: usize) {
        self.0 = self.0.saturating_sub(looks);
    }
}

impl Cache {
    /// Removes what `select` finds under the stripe's lock, from index and
    /// tiers, and returns how many entries that were. They are dropped, and their memory zeroed, after the lock is released.
    pub(super) fn remove(
        &self,
        stripe: &Stripe,
        now: Now,
        select: impl FnOnce(&mut Index) -> Vec<Entry>,
    ) -> u64 {
        let mut stripe = stripe.lock();
        let selected = select(&mut stripe.index);
        for entry in &selected {
            self.take_out(&mut stripe, entry, now);
        }
        // A large removal takes the lock again soon: without it, whoever waits
        // for it would wait for several steps.
        stripe.give_way();
        drop(stripe);
        selected.len() as u64
    }

    /// Removes an invalidated entry from index and tier. Returns whether it was
    /// live. The caller keeps its handle until the stripe is unlocked.
    pub(super) fn take_out(&self, stripe: &mut Parts, entry: &Entry, now: Now) -> bool {
        let is_live = !entry.deadline().passed(now);
        let why = if is_live {
            Departure::Invalidated
        } else {
            Departure::Expired
        };
        stripe.index.remove(entry, why);
        self.tiers[entry.tier().index()].remove(entry);
        if is_live {
            stripe.revoked.remember(entry.hash(&self.hasher), entry);
        }
        is_live
    }

    /// Removes what a name holds if an invalidation under way covers it, for a
    /// caller that is about to decide by it. Returns the entry, to be dropped
    /// once the stripe is unlocked.
    pub(super) fn take_out_covered(
        &self,
        stripe: &mut Parts,
        name: Name<'_>,
        now: Now,
    ) -> Option<Entry> {
        let namespace = self.namespaces.find(name.namespace)?;
        let entry = stripe.index.named(namespace.id, name.key.as_str())?.clone();
        if !self.ledger.claims(Current::at(&entry, now)) {
            return None;
        }
        self.take_out(stripe, &entry, now);
        Some(entry)
    }
}
