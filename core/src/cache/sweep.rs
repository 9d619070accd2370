//! Invalidations that are carried out in steps. No lock is held between two steps.

use std::sync::Arc;

use crate::{
    cache::Cache,
    change_log::log::PendingChange,
    model::{outcome::Invalidated, time::Now},
    work::{budget::Budget, scan::Scan},
};

/// An invalidation in progress. From its beginning, it refuses stale fills. Its steps remove the
/// credentials that it covers, and the last step publishes it to watchers.
///
/// Dropping an incomplete sweep runs it to its end at once. It can't be undone, and it can't be
/// published before its effect is complete; left unpublished, it would block the namespace's
/// watchers forever.
#[must_use = "a sweep is carried out by its steps"]
pub struct Sweep<'a> {
    cache: &'a Cache,
    now: Now,
    /// The result so far.
    invalidated: Invalidated,
    /// `None` once the effect is complete.
    pending: Option<Pending<'a>>,
}

struct Pending<'a> {
    selection: Selection,
    change: PendingChange<'a>,
    scan: Scan,
}

/// What to search for, in the namespace with this id.
pub(crate) enum Selection {
    /// Every key that starts with this prefix.
    Prefix(u64, Arc<str>),
    /// Every credential with this tag.
    Tag(u64, Arc<str>),
}

impl<'a> Sweep<'a> {
    /// A sweep whose invalidation was committed and has no effect yet.
    pub(crate) fn new(
        cache: &'a Cache,
        selection: Selection,
        change: PendingChange<'a>,
        now: Now,
    ) -> Self {
        let invalidated = Invalidated {
            removed: 0,
            revision: change.revision(),
        };
        let pending = Pending {
            selection,
            change,
            scan: Scan::default(),
        };
        Self {
            cache,
            now,
            invalidated,
            pending: Some(pending),
        }
    }

    /// A sweep whose effect is complete.
    pub(crate) fn done(cache: &'a Cache, invalidated: Invalidated, now: Now) -> Self {
        Self {
            cache,
            now,
            invalidated,
            pending: None,
        }
    }

    /// Does a bounded part of the sweep, and releases all locks. Returns the result once everything
    /// is removed and published.
    pub fn step(&mut self) -> Option<Invalidated> {
        if let Some(pending) = &mut self.pending {
            let (counted, is_complete) = pending.step(self.cache, self.now);
            self.invalidated.removed += counted;
            if !is_complete {
                return None;
            }
        }
        if let Some(pending) = self.pending.take() {
            self.invalidated.removed += pending.change.publish().removed;
        }
        Some(self.invalidated)
    }

    /// Runs the sweep to its end.
    pub(crate) fn finish(mut self) -> Invalidated {
        loop {
            if let Some(invalidated) = self.step() {
                return invalidated;
            }
        }
    }
}

impl Pending<'_> {
    /// Returns how many live credentials this step removed on this invalidation's account, and
    /// whether the scan is complete.
    fn step(&mut self, cache: &Cache, now: Now) -> (u64, bool) {
        let Self {
            selection,
            change,
            scan,
        } = self;
        let before = change.revision();
        let mut counted = 0;
        let mut budget = Budget::for_step();
        let (_, is_complete) = cache.scan(scan, now, &mut budget, |index, last, budget| {
            let batch = match selection {
                Selection::Prefix(namespace, prefix) => {
                    index.with_prefix(*namespace, prefix, before, last, budget)
                }
                Selection::Tag(namespace, tag) => index.tagged(*namespace, tag, before, budget),
            };
            counted += change.count(&batch.entries, now);
            batch
        });
        (counted, is_complete)
    }
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        while self.step().is_none() {}
    }
}
