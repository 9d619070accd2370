//! Where entries stand: by name, by tag and by deadline, in parts that each have a lock.

pub(crate) mod entry_index;
pub(crate) mod stripe;
pub(crate) mod tombstones;
