//! One who waits for somebody else's fetch.

use std::{sync::Arc, task::Waker};

use crate::{
    counters::Count,
    leases::token::{Lease, LeaseRequest},
    permits::Permit,
    store::namespaces::NamespaceRecord,
    sync::Mutex,
};

/// What one who waited is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// To fetch: the holder before didn't.
    Granted(Lease),
    /// To look again: something was put, or nobody fetches any more.
    Again,
}

/// A place in the queue of a key's lease, counted as waiting until it is
/// dropped.
pub(crate) struct Waiter {
    pub(crate) hash: u64,
    pub(crate) number: u64,
    /// The number of what it waits for.
    pub(crate) slot: u64,
    namespace: Arc<NamespaceRecord>,
    /// The lease it would take.
    pub(crate) request: Option<LeaseRequest>,
    told: Mutex<Notice>,
    _permit: Permit,
}

#[derive(Default)]
enum Notice {
    #[default]
    Nothing,
    /// Nothing yet; this wakes the task.
    Polled(Waker),
    /// This, which it hasn't taken yet.
    Woken(Woken),
    /// All it will be.
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
            told: Mutex::default(),
            _permit: permit,
        }
    }

    /// Tells it, once; answers with what wakes its task.
    pub(crate) fn tell(&self, woken: Woken) -> Option<Waker> {
        match std::mem::replace(&mut *self.told.lock(), Notice::Woken(woken)) {
            Notice::Polled(waker) => Some(waker),
            Notice::Nothing | Notice::Woken(_) | Notice::Taken => None,
        }
    }

    /// A lease it was granted and doesn't know of.
    pub(crate) fn untaken(&self) -> Option<Lease> {
        match *self.told.lock() {
            Notice::Woken(Woken::Granted(lease)) => Some(lease),
            _ => None,
        }
    }

    pub(crate) fn take(&self, waker: Option<&Waker>) -> Option<Woken> {
        let mut told = self.told.lock();
        match (&*told, waker) {
            (Notice::Woken(woken), _) => {
                let woken = *woken;
                *told = Notice::Taken;
                return Some(woken);
            }
            (Notice::Polled(old), Some(waker)) if old.will_wake(waker) => {}
            (Notice::Polled(_) | Notice::Nothing, Some(waker)) => {
                *told = Notice::Polled(waker.clone())
            }
            (Notice::Polled(_) | Notice::Nothing, None) | (Notice::Taken, _) => {}
        }
        None
    }

    /// What it was told and hasn't taken.
    pub(crate) fn peek(&self, waker: &Waker) -> Option<Woken> {
        let mut told = self.told.lock();
        match &mut *told {
            Notice::Woken(woken) => return Some(*woken),
            Notice::Polled(old) => old.clone_from(waker),
            Notice::Nothing => *told = Notice::Polled(waker.clone()),
            Notice::Taken => {}
        }
        None
    }

    pub(crate) fn is_taken(&self) -> bool {
        matches!(*self.told.lock(), Notice::Taken)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.namespace.tally.sub(Count::Waiting);
    }
}
