//! What there is a bounded number of: leases, those who wait, watchers.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::sync::AtomicUsize;

/// A bounded number of places.
pub(crate) struct Permits {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One of them, until it is dropped.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permits {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            taken: Arc::default(),
            most: most as usize,
        }
    }

    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        // Counted first, so that two can't both try_acquire the last one.
        let permit = Permit(self.taken.clone());
        let before = self.taken.fetch_add(1, Relaxed);
        (before < self.most).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
