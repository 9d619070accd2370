//! Bounds on concurrent use: leases, waiting Gets and watchers.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::sync::AtomicUsize;

/// A counter with an upper bound. Each holder takes one [`Permit`].
pub(crate) struct Permits {
    taken: Arc<AtomicUsize>,
    max: usize,
}

/// One unit of a [`Permits`] counter. Dropping it gives the unit back.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permits {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            taken: Arc::default(),
            max: max as usize,
        }
    }

    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        // The count is raised before the check, so two callers can't both acquire the last permit.
        let permit = Permit(self.taken.clone());
        let before = self.taken.fetch_add(1, Relaxed);
        (before < self.max).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
