//! One who waits for somebody else's fetch.

use std::{sync::Arc, task::Waker};

use crate::{
    counters::Count,
    leases::token::{Lease, LeaseRequest},
    permits::Place,
    store::namespaces::Namespace,
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
    pub(crate) flight: u64,
    namespace: Arc<Namespace>,
    /// The lease it would take.
    pub(crate) request: Option<LeaseRequest>,
    told: Mutex<Told>,
    _place: Place,
}

#[derive(Default)]
enum Told {
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
        flight: u64,
        namespace: Arc<Namespace>,
        request: Option<LeaseRequest>,
        place: Place,
    ) -> Self {
        namespace.tally.add(Count::Waits);
        namespace.tally.add(Count::Waiting);
        Self {
            hash,
            number,
            flight,
            namespace,
            request,
            told: Mutex::default(),
            _place: place,
        }
    }

    /// Tells it, once; answers with what wakes its task.
    pub(crate) fn tell(&self, woken: Woken) -> Option<Waker> {
        match std::mem::replace(&mut *self.told.lock(), Told::Woken(woken)) {
            Told::Polled(waker) => Some(waker),
            Told::Nothing | Told::Woken(_) | Told::Taken => None,
        }
    }

    /// A lease it was granted and doesn't know of.
    pub(crate) fn untaken(&self) -> Option<Lease> {
        match *self.told.lock() {
            Told::Woken(Woken::Granted(lease)) => Some(lease),
            _ => None,
        }
    }

    pub(crate) fn take(&self, waker: Option<&Waker>) -> Option<Woken> {
        let mut told = self.told.lock();
        match (&*told, waker) {
            (Told::Woken(woken), _) => {
                let woken = *woken;
                *told = Told::Taken;
                return Some(woken);
            }
            (Told::Polled(old), Some(waker)) if old.will_wake(waker) => {}
            (Told::Polled(_) | Told::Nothing, Some(waker)) => *told = Told::Polled(waker.clone()),
            (Told::Polled(_) | Told::Nothing, None) | (Told::Taken, _) => {}
        }
        None
    }

    /// What it was told and hasn't taken.
    pub(crate) fn peek(&self, waker: &Waker) -> Option<Woken> {
        let mut told = self.told.lock();
        match &mut *told {
            Told::Woken(woken) => return Some(*woken),
            Told::Polled(old) => old.clone_from(waker),
            Told::Nothing => *told = Told::Polled(waker.clone()),
            Told::Taken => {}
        }
        None
    }

    pub(crate) fn is_taken(&self) -> bool {
        matches!(*self.told.lock(), Told::Taken)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.namespace.tally.sub(Count::Waiting);
    }
}
