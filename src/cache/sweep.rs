//! An invalidation that is carried out in steps, between which no lock is held
//! and others have their turn.

use super::{
    Cache,
    invalidate::Invalidated,
    ledger::Entered,
    remove::{Budget, Search},
    time::Now,
};

/// An invalidation that has begun. From then on it holds off stale fills; what
/// matches goes step by step, and it is published, and so told to watchers,
/// with the last.
///
/// One that is dropped half-way runs to its end there and then: it can neither
/// be taken back nor, with a part of its effect missing, be published, and
/// unpublished it would hold up the namespace's watchers for ever.
#[must_use = "it is carried out by its steps"]
pub struct Sweep<'a> {
    cache: &'a Cache,
    now: Now,
    /// So far.
    invalidated: Invalidated,
    /// `None` once its whole effect is there.
    rest: Option<Rest<'a>>,
}

struct Rest<'a> {
    selection: Selection<'a>,
    search: Search,
    entered: Entered<'a>,
}

/// What of the namespace with this id goes.
#[derive(Clone, Copy)]
pub(super) enum Selection<'a> {
    /// Every key that starts so.
    Prefix(u64, &'a str),
    /// Everything with this tag.
    Tag(u64, &'a str),
}

impl<'a> Sweep<'a> {
    /// One that was entered, and with no effect yet.
    pub(super) fn new(
        cache: &'a Cache,
        selection: Selection<'a>,
        entered: Entered<'a>,
        now: Now,
    ) -> Self {
        let invalidated = Invalidated {
            removed: 0,
            revision: entered.revision(),
        };
        Self {
            cache,
            now,
            invalidated,
            rest: Some(Rest {
                selection,
                search: Search::default(),
                entered,
            }),
        }
    }

    /// One whose whole effect is there.
    pub(super) fn done(cache: &'a Cache, invalidated: Invalidated, now: Now) -> Self {
        Self {
            cache,
            now,
            invalidated,
            rest: None,
        }
    }

    /// Does a bounded part of it, and holds no lock afterwards. Answers once all
    /// of it is done and published.
    pub fn step(&mut self) -> Option<Invalidated> {
        if let Some(rest) = &mut self.rest {
            let Rest {
                selection,
                search,
                entered,
            } = rest;
            let before = self.invalidated.revision;
            let mut live = 0;
            let (_, is_all) = search.step(
                self.cache,
                self.now,
                &mut Budget::of_a_step(),
                |index, last, budget| {
                    let batch = match *selection {
                        Selection::Prefix(namespace, prefix) => {
                            index.with_prefix(namespace, prefix, before, last, budget)
                        }
                        Selection::Tag(namespace, tag) => {
                            index.tagged(namespace, tag, before, budget)
                        }
                    };
                    live += entered.count(&batch.entries, self.now);
                    batch
                },
            );
            self.invalidated.removed += live;
            if !is_all {
                return None;
            }
        }
        if let Some(rest) = self.rest.take() {
            self.invalidated.removed += rest.entered.publish();
        }
        Some(self.invalidated)
    }

    /// Runs it to its end.
    pub(super) fn finish(mut self) -> Invalidated {
        loop {
            if let Some(invalidated) = self.step() {
                return invalidated;
            }
        }
    }
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        while self.step().is_none() {}
    }
}
