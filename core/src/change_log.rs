//! The order of changes: revisions, the fences that refuse stale fills, and the journal that
//! watchers read.

pub(crate) mod fences;
pub(crate) mod in_progress;
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod target_map;
