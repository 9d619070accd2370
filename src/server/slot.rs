//! A connection's slot among those that may be open.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::OwnedSemaphorePermit;

/// The slot of one connection, of those that the server and its worker count. The
/// connection gives the slot back by dropping it.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
    /// How many connections the worker has.
    open: Arc<AtomicUsize>,
}

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit, open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Relaxed);
        Self {
            _permit: permit,
            open,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}
