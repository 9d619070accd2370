//! The index of all entries by name, tag and deadline, in stripes that each have a lock.

pub(crate) mod entry_index;
pub(crate) mod stripe;
pub(crate) mod tombstones;
