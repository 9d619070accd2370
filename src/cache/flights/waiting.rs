//! One who waits for somebody else's fetch.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use crate::cache::{
    Cache,
    counters::Count,
    namespaces::Namespace,
    places::Place,
    sync::Mutex,
    token::{Lease, LeaseRequest},
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
pub(in crate::cache) struct Waiter {
    pub(super) hash: u64,
    pub(super) number: u64,
    /// The number of what it waits for.
    pub(super) flight: u64,
    namespace: Arc<Namespace>,
    /// The lease it would take.
    pub(super) request: Option<LeaseRequest>,
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

/// Waits until the key is filled, or its lease is free and this is the first in
/// the queue, or there is nobody to wait for. There is no time-out in it.
///
/// # Cancel safety
/// Dropping it leaves nothing behind: a lease it was granted and didn't answer
/// with goes to the next.
#[must_use = "futures do nothing unless polled"]
pub struct Waiting<'a> {
    cache: &'a Cache,
    waiter: Arc<Waiter>,
}

impl Waiter {
    pub(super) fn new(
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
    pub(super) fn tell(&self, woken: Woken) -> Option<Waker> {
        match std::mem::replace(&mut *self.told.lock(), Told::Woken(woken)) {
            Told::Polled(waker) => Some(waker),
            Told::Nothing | Told::Woken(_) | Told::Taken => None,
        }
    }

    /// A lease it was granted and doesn't know of.
    pub(super) fn untaken(&self) -> Option<Lease> {
        match *self.told.lock() {
            Told::Woken(Woken::Granted(lease)) => Some(lease),
            _ => None,
        }
    }

    fn take(&self, waker: Option<&Waker>) -> Option<Woken> {
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
    fn peek(&self, waker: &Waker) -> Option<Woken> {
        let mut told = self.told.lock();
        match &mut *told {
            Told::Woken(woken) => return Some(*woken),
            Told::Polled(old) => old.clone_from(waker),
            Told::Nothing => *told = Told::Polled(waker.clone()),
            Told::Taken => {}
        }
        None
    }

    fn is_taken(&self) -> bool {
        matches!(*self.told.lock(), Told::Taken)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.namespace.tally.sub(Count::Waiting);
    }
}

impl<'a> Waiting<'a> {
    pub(in crate::cache) fn new(cache: &'a Cache, waiter: Arc<Waiter>) -> Self {
        Self { cache, waiter }
    }

    /// Waits until it is told, and answers with what, without taking it: a lease
    /// is no more its own than before.
    pub async fn until_told(&self) -> Woken {
        poll_fn(|cx| match self.waiter.peek(cx.waker()) {
            Some(woken) => Poll::Ready(woken),
            None => Poll::Pending,
        })
        .await
    }

    /// What it was told by now, for one who can't wait any longer.
    #[must_use]
    pub fn told(&self) -> Option<Woken> {
        self.waiter.take(None)
    }
}

impl Future for Waiting<'_> {
    type Output = Woken;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Woken> {
        match self.waiter.take(Some(cx.waker())) {
            Some(woken) => Poll::Ready(woken),
            None => Poll::Pending,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.waiter.is_taken() {
            self.cache.leave(self.waiter.hash, &self.waiter);
        }
    }
}

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting(..)")
    }
}
