//! The future that waits for another caller's fetch.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    cache::Cache,
    leases::waiter::{Waiter, Woken},
};

/// Waits until the key is filled, until the lease is passed on to this waiter, or until no caller
/// is fetching any more. It has no timeout of its own.
///
/// # Cancel safety
/// Dropping the future removes the waiter. A lease that it was granted but hasn't returned goes to
/// the next waiter.
#[must_use = "futures do nothing unless polled"]
pub struct Waiting<'a> {
    cache: &'a Cache,
    waiter: Arc<Waiter>,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(cache: &'a Cache, waiter: Arc<Waiter>) -> Self {
        Self { cache, waiter }
    }

    /// Waits for the notification and returns it without taking it. If it is a lease, dropping
    /// `self` still passes the lease on.
    ///
    /// # Cancel safety
    /// Dropping this future changes nothing.
    pub async fn notified(&self) -> Woken {
        poll_fn(|cx| match self.waiter.peek(cx.waker()) {
            Some(woken) => Poll::Ready(woken),
            None => Poll::Pending,
        })
        .await
    }

    /// Takes the notification if there is one, for a caller that can't wait any longer.
    #[must_use]
    pub fn try_take(&self) -> Option<Woken> {
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
