//! Revisions: the sequence of all changes to a cache.

use std::sync::atomic::Ordering::Relaxed;

use crate::sync::AtomicU64;

/// The number of a change. The version of a credential is the revision of its Put. Revisions count
/// from 1, and are comparable only within one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// The version of an entry that no Put stored.
    pub(crate) const NONE: Self = Self(0);

    /// Converts a number that a caller states. Returns `None` for 0, which is never assigned.
    #[must_use]
    pub fn from_wire(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Assigns revisions.
///
/// The counter may be relaxed: only the order within a stripe matters, and the stripe's lock
/// establishes that order.
#[derive(Debug, Default)]
pub(crate) struct Revisions(AtomicU64);

impl Revisions {
    pub(crate) fn next(&self) -> Revision {
        Revision(self.0.fetch_add(1, Relaxed) + 1)
    }

    /// The latest revision assigned; 0 before the first.
    pub(crate) fn latest(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
