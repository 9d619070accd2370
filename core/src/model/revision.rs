//! The server's one sequence of changes.

use std::sync::atomic::Ordering::Relaxed;

use crate::sync::AtomicU64;

/// The number of a change. A credential's version is the revision of its Put.
/// Counts from 1, and only within one run of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// Of nothing that was put.
    pub(crate) const NONE: Self = Self(0);

    /// As a caller states it; 0 was never given out.
    #[must_use]
    pub fn from_wire(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Gives out revisions.
///
/// The order that matters is the one within a stripe, and its lock makes that;
/// so the counter itself may be relaxed.
#[derive(Debug, Default)]
pub(crate) struct Revisions(AtomicU64);

impl Revisions {
    pub(crate) fn next(&self) -> Revision {
        Revision(self.0.fetch_add(1, Relaxed) + 1)
    }

    /// The latest one given out; 0 before the first.
    pub(crate) fn latest(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
