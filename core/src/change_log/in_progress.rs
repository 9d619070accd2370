//! Invalidations in progress: each has its revision, but entries that it covers may still be
//! stored.
//!
//! An invalidation has happened once it has its revision. So every operation that decides by a
//! stored entry first asks here whether an invalidation in progress covers the entry. If so, the
//! operation removes the entry, as the invalidation would have done a moment later, and the removal
//! counts as the invalidation's. The fences can't answer this question, because they may be coarser
//! than the invalidation.

use std::{cell::Cell, collections::HashMap, sync::Arc};

use crate::{
    change_log::target_map::Targets,
    model::{invalidation::OwnedTarget, name::Key, revision::Revision},
    store::entry::Entry,
};

/// Bounded by the number of concurrent calls.
#[derive(Default)]
pub(super) struct InProgress {
    /// The invalidations of each target, in the order of their revisions. Neither a map nor a list
    /// is empty.
    namespaces: HashMap<Arc<str>, Targets<Vec<Invalidation>>>,
}

struct Invalidation {
    revision: Revision,
    /// How many live entries other operations removed on behalf of this invalidation.
    removed: Cell<u64>,
}

impl InProgress {
    /// Adds an invalidation that has taken its revision, which is the highest so far. Returns
    /// whether it is the only one of the namespace.
    pub(super) fn begin(
        &mut self,
        namespace: &str,
        target: &OwnedTarget,
        revision: Revision,
    ) -> bool {
        let invalidation = Invalidation {
            revision,
            removed: Cell::new(0),
        };
        let targets = match self.namespaces.get_mut(namespace) {
            Some(targets) => targets,
            None => self.namespaces.entry(namespace.into()).or_default(),
        };
        let is_only = targets.is_empty();
        match targets.get_mut(target) {
            Some(others) => others.push(invalidation),
            None => targets.insert(target.clone(), vec![invalidation]),
        }
        is_only
    }

    /// Removes an invalidation after everything that it covers was removed. Returns how many live
    /// entries other operations removed on its behalf.
    pub(super) fn end(&mut self, namespace: &str, target: &OwnedTarget, revision: Revision) -> u64 {
        let Some(targets) = self.namespaces.get_mut(namespace) else {
            return 0;
        };
        let Some(invalidations) = targets.get_mut(target) else {
            return 0;
        };
        let found =
            invalidations.binary_search_by_key(&revision, |invalidation| invalidation.revision);
        let removed = found.map_or(0, |index| invalidations.remove(index).removed.get());
        if invalidations.is_empty() {
            targets.remove(target);
            if targets.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
        removed
    }

    /// Whether an invalidation in progress covers the entry. A live entry is counted as removed by
    /// the first such invalidation, so the caller must remove the entry.
    pub(super) fn claims(&self, entry: &Entry, is_live: bool) -> bool {
        let Some(targets) = self.namespaces.get(&entry.namespace().name) else {
            return false;
        };
        let Some(key) = Key::of_bytes(entry.key()) else {
            return false;
        };
        let covering = targets
            .covering(key, || entry.labels().tags().iter())
            .filter_map(|invalidations| {
                let later = invalidations
                    .partition_point(|invalidation| invalidation.revision < entry.version());
                invalidations.get(later)
            });
        let Some(first) = covering.min_by_key(|invalidation| invalidation.revision) else {
            return false;
        };
        if is_live {
            first.removed.set(first.removed.get() + 1);
        }
        true
    }
}
