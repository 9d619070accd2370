//! A waiter: a Get that waits for another caller's fetch.

use std::{sync::Arc, task::Waker};

use crate::{
    counters::Count,
    leases::token::{Lease, LeaseRequest},
    permits::Permit,
    store::namespaces::NamespaceRecord,
    sync::Mutex,
};

/// How a waiting Get continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// With a fetch of its own: the waiter now holds the lease, because the previous holder didn't
    /// fill it.
    Granted(Lease),
    /// With another lookup: the key was put, or nobody is fetching it any more.
    Again,
}

/// A position in the queue for a key's lease. It counts as waiting until it is dropped.
pub(crate) struct Waiter {
    pub(crate) hash: u64,
    pub(crate) number: u64,
    /// The serial number of the lease slot.
    pub(crate) slot: u64,
    namespace: Arc<NamespaceRecord>,
    /// The lease that the waiter would accept.
    pub(crate) request: Option<LeaseRequest>,
    notice: Mutex<Notice>,
    _permit: Permit,
}

#[derive(Default)]
enum Notice {
    #[default]
    Empty,
    /// No notification yet; the waker is that of the task that waits for it.
    Registered(Waker),
    /// A notification that wasn't taken yet.
    Woken(Woken),
    /// The one notification was taken.
    Taken,
}

impl Waiter {
    pub(crate) fn new(
        hash: u64,
        number: u64,
        slot: u64,
        namespace: Arc<NamespaceRecord>,
        request: Option<LeaseRequest>,
        permit: Permit,
    ) -> Self {
        namespace.tally.add(Count::Waits);
        namespace.tally.add(Count::Waiting);
        Self {
            hash,
            number,
            slot,
            namespace,
            request,
            notice: Mutex::default(),
            _permit: permit,
        }
    }

    /// Stores the notification, which must be the only one. Returns the waker of the waiting task.
    pub(crate) fn notify(&self, woken: Woken) -> Option<Waker> {
        match std::mem::replace(&mut *self.notice.lock(), Notice::Woken(woken)) {
            Notice::Registered(waker) => Some(waker),
            Notice::Empty | Notice::Woken(_) | Notice::Taken => None,
        }
    }

    /// The lease that was granted to the waiter and that it hasn't taken.
    pub(crate) fn untaken(&self) -> Option<Lease> {
        match *self.notice.lock() {
            Notice::Woken(Woken::Granted(lease)) => Some(lease),
            _ => None,
        }
    }

    pub(crate) fn take(&self, waker: Option<&Waker>) -> Option<Woken> {
        let mut notice = self.notice.lock();
        match (&*notice, waker) {
            (Notice::Woken(woken), _) => {
                let woken = *woken;
                *notice = Notice::Taken;
                return Some(woken);
            }
            (Notice::Registered(old), Some(waker)) if old.will_wake(waker) => {}
            (Notice::Registered(_) | Notice::Empty, Some(waker)) => {
                *notice = Notice::Registered(waker.clone())
            }
            (Notice::Registered(_) | Notice::Empty, None) | (Notice::Taken, _) => {}
        }
        None
    }

    /// Returns the notification without taking it, or registers the waker.
    pub(crate) fn peek(&self, waker: &Waker) -> Option<Woken> {
        let mut notice = self.notice.lock();
        match &mut *notice {
            Notice::Woken(woken) => return Some(*woken),
            Notice::Registered(old) => old.clone_from(waker),
            Notice::Empty => *notice = Notice::Registered(waker.clone()),
            Notice::Taken => {}
        }
        None
    }

    pub(crate) fn is_taken(&self) -> bool {
        matches!(*self.notice.lock(), Notice::Taken)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.namespace.tally.sub(Count::Waiting);
    }
}
