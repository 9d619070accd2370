//! Waiters: each is notified once and in turn, and a dropped waiter leaves nothing behind.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use credcache_core::{Waiting, Woken};

use super::{Episode, Woke};
use crate::{reference::Reference, seen::Event};

pub(super) struct Parked<'a> {
    waiting: Waiting<'a>,
    woke: Arc<Woke>,
    waker: Waker,
    /// Whether it was polled before it was notified.
    polled: bool,
}

impl<'a> Parked<'a> {
    pub(super) fn new(waiting: Waiting<'a>) -> Self {
        let woke = Arc::new(Woke::default());
        let waker = woke.clone().into();
        Self {
            waiting,
            woke,
            waker,
            polled: false,
        }
    }
}

impl Episode<'_> {
    pub(super) fn meet_waiter(&mut self) {
        let Some(index) = self.draw.index(self.parked.len()) else {
            return;
        };
        let id = *self.parked.keys().nth(index).expect("there are more");
        match self.draw.rng.u8(0..4) {
            0..2 => self.poll(id),
            2 => self.take_notice(id),
            _ => self.cancel(id),
        }
    }

    fn poll(&mut self, id: u64) {
        let parked = self.parked.get_mut(&id).expect("it is parked");
        let waits = self.reference.leases.waiters[&id].notice.is_none();
        let context = &mut Context::from_waker(&parked.waker);
        let notice = match Future::poll(Pin::new(&mut parked.waiting), context) {
            Poll::Ready(woken) => Some(woken),
            Poll::Pending => {
                parked.polled |= waits;
                None
            }
        };
        self.check_notice(id, notice);
    }

    /// Takes the notification without waiting.
    fn take_notice(&mut self, id: u64) {
        let notice = self.parked[&id].waiting.try_take();
        self.check_notice(id, notice);
    }

    fn check_notice(&mut self, id: u64, notice: Option<Woken>) {
        let waiter = self.reference.leases.waiters.get_mut(&id);
        let waiter = waiter.expect("it is parked");
        let expected = waiter.notice.filter(|_| !waiter.taken);
        assert_eq!(notice, expected);
        let name = waiter.name;
        waiter.taken |= notice.is_some();
        self.check_woken(id);
        match notice {
            Some(Woken::Granted(lease)) => {
                self.seen.add(Event::Promoted);
                self.keep_token(name, lease.token);
            }
            Some(Woken::Again) => self.seen.add(Event::NotifiedAgain),
            None => {}
        }
        // Some waiters are kept a while longer.
        if notice.is_some() && !self.draw.once_in(4) {
            self.cancel(id);
        }
    }

    /// Drops a waiter, whether or not it was notified.
    pub(super) fn cancel(&mut self, id: u64) {
        self.check_woken(id);
        drop(self.parked.remove(&id));
        let Reference {
            leases, counted, ..
        } = &mut self.reference;
        let waiter = leases.leave(id, counted);
        match waiter.notice {
            _ if waiter.taken => {}
            None => self.seen.add(Event::CancelledBefore),
            Some(Woken::Granted(_)) => self.seen.add(Event::CancelledGranted),
            Some(Woken::Again) => self.seen.add(Event::CancelledAgain),
        }
    }

    /// Checks that the task was woken once, when it was notified.
    fn check_woken(&mut self, id: u64) {
        let parked = &self.parked[&id];
        let notice = self.reference.leases.waiters[&id].notice;
        let is_woken = parked.polled && notice.is_some();
        assert_eq!(parked.woke.times(), u64::from(is_woken), "woken");
        if is_woken {
            self.seen.add(Event::Woken);
        }
    }
}
