//! Removal of entries: under one lock of a stripe, or from all stripes in steps that hold no lock
//! in between.

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
        budget::{Budget, SEEK, STEP},
        scan::Scan,
    },
};

// A step that removes nothing must complete at least one leaf of an index, because the next step
// begins an incomplete leaf again.
const _: () = assert!(STEP > <Deadline as Summary<Entry>>::MAX_ITEMS + SEEK);

impl Cache {
    /// Removes the entries that `select` finds, in all stripes, as many as the budget allows.
    /// `select` receives the entry after which it continues. Returns how many entries were removed,
    /// and whether the scan is complete.
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
            budget.seek();
            // This may be the last handle to an entry that was removed, so it is dropped after
            // unlocking.
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

    /// Removes the entries that `select` finds in one stripe from the index and the tiers. Returns
    /// how many entries were removed. They are dropped, and their memory is zeroed, after the
    /// stripe is unlocked.
    pub(crate) fn remove(
        &self,
        stripe: &Stripe,
        now: Now,
        select: impl FnOnce(&mut EntryIndex) -> Vec<Entry>,
    ) -> u64 {
        let mut stripe = stripe.lock();
        let selected = select(&mut stripe.index);
        for entry in &selected {
            self.remove_entry(&mut stripe, entry, now);
        }
        // A large removal locks the stripe again soon. Without this, waiting threads would wait for
        // several steps.
        stripe.give_way();
        drop(stripe);
        selected.len() as u64
    }

    /// Removes an invalidated entry from index and tier. Returns whether it was live. The caller
    /// must keep a handle until the stripe is unlocked.
    pub(crate) fn remove_entry(&self, stripe: &mut StripeState, entry: &Entry, now: Now) -> bool {
        let is_live = !entry.deadline().passed(now);
        let reason = if is_live {
            RemovalReason::Invalidated
        } else {
            RemovalReason::Expired
        };
        stripe.index.remove(entry, reason);
        let tier = &self.tiers[entry.tier().index()];
        tier.remove(entry);
        debug_assert!(!tier.keeps(entry), "a tier holds what the index doesn't");
        if is_live {
            stripe.tombstones.remember(entry.hash(&self.hasher), entry);
        }
        is_live
    }

    /// Removes the entry of a name if an invalidation in progress covers it, for a caller that is
    /// about to decide by the entry. Returns the entry, which the caller must drop after unlocking.
    pub(crate) fn remove_covered(
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
        self.remove_entry(stripe, &entry, now);
        Some(entry)
    }
}
