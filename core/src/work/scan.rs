//! Where a search through all stripes stands between two of its steps.

use crate::store::entry::Entry;

/// Where a search through all stripes goes on.
#[derive(Default)]
pub(crate) struct Scan {
    /// The stripe that is searched next.
    pub(crate) stripe: usize,
    /// The entry of that stripe that was looked at last, if there may be more
    /// behind it.
    pub(crate) last: Option<Entry>,
}
