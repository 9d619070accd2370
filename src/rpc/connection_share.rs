//! What the calls of one connection share, besides the cache.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// One connection's share of the server, which its waiting Gets and Watches divide
/// among themselves.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionShare(Arc<Share>);

#[derive(Debug)]
struct Share {
    /// One permit for each call that may wait.
    waits: Arc<Semaphore>,
    retired: CancellationToken,
}

impl ConnectionShare {
    /// The share of a connection with this many calls at a time, half of which may
    /// wait: the other half is for the calls that end a wait.
    pub(crate) fn new(max_streams: u32) -> Self {
        let waits = (max_streams / 2).max(1) as usize;
        Self(Arc::new(Share {
            waits: Arc::new(Semaphore::new(waits)),
            retired: CancellationToken::new(),
        }))
    }

    /// A permit for a call that waits, unless as many wait as may.
    pub(super) fn wait(&self) -> Option<OwnedSemaphorePermit> {
        self.0.waits.clone().try_acquire_owned().ok()
    }

    /// Ends the Watches of the connection, whose peer is asked to open another.
    pub(crate) fn retire(&self) {
        self.0.retired.cancel();
    }

    /// Waits until the connection is retired.
    pub(super) fn retired(&self) -> WaitForCancellationFutureOwned {
        self.0.retired.clone().cancelled_owned()
    }
}
