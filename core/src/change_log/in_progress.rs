//! The invalidations under way: each has its revision, and a part of what it
//! covers may still be stored.
//!
//! An invalidation that has its revision has happened. So whatever decides by a
//! stored entry asks here first, and removes the entry if it is covered, as the
//! invalidation itself would have done a moment later. It is counted as removed
//! by that invalidation. The fences don't answer this question: they may be
//! coarser than what was invalidated.

use std::{cell::Cell, collections::HashMap, sync::Arc};

use crate::{
    change_log::target_map::Targets,
    model::{invalidation::OwnedTarget, name::Key, revision::Revision},
    store::entry::Entry,
};

/// Bounded by the number of calls at work.
#[derive(Default)]
pub(super) struct InProgress {
    /// Under each part in the order of revisions. None is empty.
    namespaces: HashMap<Arc<str>, Targets<Vec<Invalidation>>>,
}

struct Invalidation {
    revision: Revision,
    /// How many live entries others removed for it.
    removed: Cell<u64>,
}

impl InProgress {
    /// An invalidation that has taken its revision, the highest so far. Returns
    /// whether it is the only one of the namespace.
    pub(super) fn begin(
        &mut self,
        namespace: &str,
        part: &OwnedTarget,
        revision: Revision,
    ) -> bool {
        let begun = Invalidation {
            revision,
            removed: Cell::new(0),
        };
        let targets = match self.namespaces.get_mut(namespace) {
            Some(targets) => targets,
            None => self.namespaces.entry(namespace.into()).or_default(),
        };
        let is_only = targets.is_empty();
        match targets.get_mut(part) {
            Some(others) => others.push(begun),
            None => targets.insert(part.clone(), vec![begun]),
        }
        is_only
    }

    /// Everything that the invalidation covers is gone. Returns how many live
    /// entries others removed for it.
    pub(super) fn end(&mut self, namespace: &str, part: &OwnedTarget, revision: Revision) -> u64 {
        let Some(targets) = self.namespaces.get_mut(namespace) else {
            return 0;
        };
        let Some(same) = targets.get_mut(part) else {
            return 0;
        };
        let found = same.binary_search_by_key(&revision, |one| one.revision);
        let removed = found.map_or(0, |place| same.remove(place).removed.get());
        if same.is_empty() {
            targets.remove(part);
            if targets.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
        removed
    }

    /// Whether an invalidation under way covers the entry. If it is live, it then
    /// counts as removed by the first that does.
    pub(super) fn claims(&self, entry: &Entry, is_live: bool) -> bool {
        let Some(targets) = self.namespaces.get(&entry.namespace().name) else {
            return false;
        };
        let Some(key) = Key::of_bytes(entry.key()) else {
            return false;
        };
        let covering = targets
            .around(key, || entry.labels().tags().iter())
            .filter_map(|same| {
                let later = same.partition_point(|one| one.revision < entry.version());
                same.get(later)
            });
        let Some(first) = covering.min_by_key(|one| one.revision) else {
            return false;
        };
        if is_live {
            first.removed.set(first.removed.get() + 1);
        }
        true
    }
}
