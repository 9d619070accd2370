//! What there is a bounded number of: leases, those who wait, watchers.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::sync::AtomicUsize;

/// A bounded number of places.
pub(crate) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One of them, until it is dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            taken: Arc::default(),
            most: most as usize,
        }
    }

    pub(crate) fn take(&self) -> Option<Place> {
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
