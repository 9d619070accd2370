//! The progress of a scan through all stripes.

use crate::store::entry::Entry;

/// The position at which the next step of a scan continues.
#[derive(Default)]
pub(crate) struct Scan {
    /// The index of the stripe to scan next.
    pub(crate) stripe: usize,
    /// The entry of this stripe that was inspected last; `None` if the scan of the stripe hasn't
    /// begun.
    pub(crate) last: Option<Entry>,
}
