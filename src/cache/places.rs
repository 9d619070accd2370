//! What there is a bounded number of: leases, those who wait, watchers.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::sync::AtomicUsize;

/// A bounded number of places.
pub(super) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One of them, until it is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(super) fn new(most: u32) -> Self {
        Self {
            taken: Arc::default(),
            most: most as usize,
        }
    }

    pub(super) fn take(&self) -> Option<Place> {
        // Counted first, so that two can't both take the last one.
        let place = Place(self.taken.clone());
        let before = self.taken.fetch_add(1, Relaxed);
        (before < self.most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
