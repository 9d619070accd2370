//! Waiting for somebody else's fetch.

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

impl<'a> Waiting<'a> {
    pub(crate) fn new(cache: &'a Cache, waiter: Arc<Waiter>) -> Self {
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
