//! Taking entries out: under one holding of a stripe's lock, or of all stripes
//! in steps between which no lock is held and others have their turn.

use super::{
    Cache,
    entry::Entry,
    index::{Batch, Departure, Index},
    stripe::Stripe,
    time::{Deadline, Now},
    tree::Summary,
};

/// How many entries were removed, and how many of them were still live.
#[derive(Default)]
pub(super) struct Removed {
    pub(super) all: u64,
    pub(super) live: u64,
}

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
    /// Removes what `select` finds, for the length of a step; whether that was
    /// all. `select` is handed the entry that it goes on behind.
    pub(super) fn step(
        &mut self,
        cache: &Cache,
        now: Now,
        budget: &mut Budget,
        select: impl Fn(&mut Index, Option<&Entry>, &mut Budget) -> Batch,
    ) -> (Removed, bool) {
        let mut sum = Removed::default();
        while !budget.is_spent()
            && let Some(stripe) = cache.stripes.get(self.stripe)
        {
            budget.find_place();
            // May be the last handle of one that went: dropped outside of the lock.
            let last = self.last.take();
            let removed = cache.remove(stripe, now, |index| {
                let batch = select(index, last.as_ref(), budget);
                self.last = batch.last;
                batch.entries
            });
            sum.all += removed.all;
            sum.live += removed.live;
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
        // A large removal takes the lock again soon: without it, whoever waits
        // for it would wait for several steps.
        stripe.give_way();
        drop(stripe);
        Removed {
            all: selected.len() as u64,
            live,
        }
    }
}
