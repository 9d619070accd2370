//! Taking entries out: under one holding of a stripe's lock, or of all stripes
//! in steps between which no lock is held and others have their turn.

use crate::{
    btree::summary::Summary,
    cache::Cache,
    change_log::log::CurrentEntry,
    index::{
        entry_index::{Batch, EntryIndex, RemovalReason},
        stripe::{Stripe, StripeState},
    },
    model::{
        name::Name,
        time::{Deadline, Now},
    },
    store::entry::Entry,
    work::{
        budget::{Budget, PLACE, STEP},
        scan::Scan,
    },
};

// A step that removes nothing gets through one block of an index at least: where
// it breaks off inside of one, the next step begins that block anew.
const _: () = assert!(STEP > <Deadline as Summary<Entry>>::MOST_ITEMS + PLACE);

impl Cache {
    /// Removes what `select` finds, in all stripes, as much of it as the budget
    /// allows. `select` is handed the entry that it goes on behind. Returns how
    /// many entries were removed, and whether the scan is through.
    pub(crate) fn scan(
        &self,
        scan: &mut Scan,
        now: Now,
        budget: &mut Budget,
        mut select: impl FnMut(&mut EntryIndex, Option<&Entry>, &mut Budget) -> Batch,
    ) -> (u64, bool) {
        let mut sum = 0;
        while !budget.is_spent()
            && let Some(stripe) = self.stripes.get(scan.stripe)
        {
            budget.find_place();
            // May be the last handle of one that went: dropped outside of the lock.
            let last = scan.last.take();
            sum += self.remove(stripe, now, |index| {
                let batch = select(index, last.as_ref(), budget);
                scan.last = batch.last;
                batch.entries
            });
            if scan.last.is_none() {
                scan.stripe += 1;
            }
        }
        (sum, scan.stripe == self.stripes.len())
    }

    /// Removes what `select` finds under the stripe's lock, from index and
    /// tiers, and returns how many entries that were. They are dropped, and their memory zeroed, after the lock is released.
    pub(crate) fn remove(
        &self,
        stripe: &Stripe,
        now: Now,
        select: impl FnOnce(&mut EntryIndex) -> Vec<Entry>,
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
    pub(crate) fn take_out(&self, stripe: &mut StripeState, entry: &Entry, now: Now) -> bool {
        let is_live = !entry.deadline().passed(now);
        let why = if is_live {
            RemovalReason::Invalidated
        } else {
            RemovalReason::Expired
        };
        stripe.index.remove(entry, why);
        let tier = &self.tiers[entry.tier().index()];
        tier.remove(entry);
        debug_assert!(!tier.keeps(entry), "a tier holds what the index doesn't");
        if is_live {
            stripe.tombstones.remember(entry.hash(&self.hasher), entry);
        }
        is_live
    }

    /// Removes what a name holds if an invalidation under way covers it, for a
    /// caller that is about to decide by it. Returns the entry, to be dropped
    /// once the stripe is unlocked.
    pub(crate) fn take_out_covered(
        &self,
        stripe: &mut StripeState,
        name: Name<'_>,
        now: Now,
    ) -> Option<Entry> {
        let namespace = self.namespaces.find(name.namespace)?;
        let entry = stripe.index.named(namespace.id, name.key.as_str())?.clone();
        if !self.change_log.claims(CurrentEntry::at(&entry, now)) {
            return None;
        }
        self.take_out(stripe, &entry, now);
        Some(entry)
    }
}
