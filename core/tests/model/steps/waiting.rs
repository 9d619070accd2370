//! Those who wait for somebody else's fetch: told once, and in their turn; or
//! gone, and nothing left of them.

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
    /// Whether it was polled before it was told anything.
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
        let Some(place) = self.draw.place(self.parked.len()) else {
            return;
        };
        let id = *self.parked.keys().nth(place).expect("there are more");
        match self.draw.rng.u8(0..4) {
            0..2 => self.poll(id),
            2 => self.see_told(id),
            _ => self.cancel(id),
        }
    }

    fn poll(&mut self, id: u64) {
        let parked = self.parked.get_mut(&id).expect("it is parked");
        let waits = self.reference.flights.waiters[&id].told.is_none();
        let context = &mut Context::from_waker(&parked.waker);
        let told = match Future::poll(Pin::new(&mut parked.waiting), context) {
            Poll::Ready(woken) => Some(woken),
            Poll::Pending => {
                parked.polled |= waits;
                None
            }
        };
        self.check_told(id, told);
    }

    /// As one does who can't wait any longer.
    fn see_told(&mut self, id: u64) {
        let told = self.parked[&id].waiting.told();
        self.check_told(id, told);
    }

    fn check_told(&mut self, id: u64, told: Option<Woken>) {
        let waiter = self.reference.flights.waiters.get_mut(&id);
        let waiter = waiter.expect("it is parked");
        let expected = waiter.told.filter(|_| !waiter.taken);
        assert_eq!(told, expected);
        let name = waiter.name;
        waiter.taken |= told.is_some();
        self.check_woken(id);
        match told {
            Some(Woken::Granted(lease)) => {
                self.seen.add(Event::Promoted);
                self.keep_token(name, lease.token);
            }
            Some(Woken::Again) => self.seen.add(Event::ToldAgain),
            None => {}
        }
        // Some stay a while longer.
        if told.is_some() && !self.draw.once_in(4) {
            self.cancel(id);
        }
    }

    /// Goes away, told or not.
    pub(super) fn cancel(&mut self, id: u64) {
        self.check_woken(id);
        drop(self.parked.remove(&id));
        let Reference {
            flights, counted, ..
        } = &mut self.reference;
        let waiter = flights.leave(id, counted);
        match waiter.told {
            _ if waiter.taken => {}
            None => self.seen.add(Event::CancelledBefore),
            Some(Woken::Granted(_)) => self.seen.add(Event::CancelledGranted),
            Some(Woken::Again) => self.seen.add(Event::CancelledAgain),
        }
    }

    /// Its task is woken once, when it is told.
    fn check_woken(&mut self, id: u64) {
        let parked = &self.parked[&id];
        let told = self.reference.flights.waiters[&id].told;
        let is_woken = parked.polled && told.is_some();
        assert_eq!(parked.woke.times(), u64::from(is_woken), "woken");
        if is_woken {
            self.seen.add(Event::Woken);
        }
    }
}
