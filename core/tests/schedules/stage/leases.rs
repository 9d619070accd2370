//! Leases and their waiters.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use credcache_core::{Lease, LeaseAnswer, LeaseQuery, Lookup, Token, Waiting, Woken};
use credcache_history as history;
use history::{Call, Operation, Span};
use shuttle::future::block_on;

use super::{At, Stage, name, named, nanos, recorded_hit};

/// The lifetime of a lease, in seconds.
pub(crate) const LEASE: u64 = 10;

/// A position in the queue for a lease.
pub(crate) struct Parked<'a> {
    stage: &'a Stage,
    at: At,
    waiting: Waiting<'a>,
    invoked: u64,
    wall_before: u64,
}

pub(crate) fn token(number: u8) -> Token {
    Token::from_bytes([number; 16])
}

impl Stage {
    /// Looks up a credential with this many seconds left, and requests the lease with this token.
    /// Returns the lease if it is granted.
    pub(crate) fn ask(&self, at: At, least: u64, number: u8) -> Option<Lease> {
        match self.asked(at, least, number, false) {
            Ok(lease) => lease,
            Err(_) => panic!("the query does not wait"),
        }
    }

    /// Like [`ask`](Self::ask), but waits if another caller has the lease.
    pub(crate) fn ask_or_park(&self, at: At, number: u8) -> Result<Option<Lease>, Parked<'_>> {
        self.asked(at, 0, number, true)
    }

    /// Like [`ask_or_park`](Self::ask_or_park), until it is answered.
    pub(crate) fn ask_and_wait(&self, at: At, number: u8) -> Option<Lease> {
        self.ask_or_park(at, number).unwrap_or_else(Parked::wait)
    }

    /// Extends a lease by some seconds. Returns whether that was possible.
    pub(crate) fn extend(&self, at: At, lease: Token, secs: u64) -> bool {
        self.recorded(|| {
            let ttl = Some(Duration::from_secs(secs));
            let left = self.cache.extend_lease(name(at), lease, ttl, self.now());
            let left = left
                .ok()
                .map(|left| u64::try_from(left.as_nanos()).unwrap());
            let extend = history::Extend {
                name: named(at),
                lease: *lease.as_bytes(),
                left,
            };
            (left.is_some(), Some(Call::Extend(extend)))
        })
    }

    /// Abandons a lease without a cool-down.
    pub(crate) fn abandon(&self, at: At, lease: Token) {
        self.recorded(|| {
            let none = Duration::ZERO;
            let done = self.cache.abandon_lease(name(at), lease, none, self.now());
            let abandon = history::Abandon {
                name: named(at),
                lease: *lease.as_bytes(),
                accepted: done.is_ok(),
            };
            ((), Some(Call::Abandon(abandon)))
        });
    }

    fn asked(
        &self,
        at: At,
        least: u64,
        number: u8,
        wait: bool,
    ) -> Result<Option<Lease>, Parked<'_>> {
        let ask = LeaseQuery {
            min_ttl: Duration::from_secs(least),
            lease: Some(token(number).into()),
            wait,
        };
        self.recorded(|| {
            let (invoked, wall_before) = (self.tick(), nanos(self.now().wall));
            let answer = self.cache.get_or_lease(name(at), ask, || self.now());
            match answer.unwrap() {
                LeaseAnswer::Ready(found, lease) => {
                    let hit = match &found {
                        Lookup::Hit(hit) => Some(recorded_hit(hit)),
                        Lookup::Miss(_) => None,
                    };
                    let get = history::Get {
                        name: named(at),
                        min_ttl: least * 1_000_000_000,
                        hit,
                        lease: lease.map(granted),
                    };
                    (Ok(lease), Some(Call::Get(get)))
                }
                LeaseAnswer::Waits(waiting) => {
                    let parked = Parked {
                        stage: self,
                        at,
                        waiting,
                        invoked,
                        wall_before,
                    };
                    (Err(parked), None)
                }
            }
        })
    }
}

impl Parked<'_> {
    /// Waits for the notification. Returns the lease if there is one.
    pub(crate) fn wait(mut self) -> Option<Lease> {
        let woken = block_on(&mut self.waiting);
        assert_eq!(self.waiting.try_take(), None, "notified twice");
        self.record(woken)
    }

    /// Stops waiting. Returns the lease if one was granted by now.
    pub(crate) fn leave(mut self) -> Option<Lease> {
        let mut context = Context::from_waker(Waker::noop());
        let polled = Pin::new(&mut self.waiting).poll(&mut context);
        match polled {
            Poll::Ready(woken) => self.record(woken),
            Poll::Pending => None,
        }
    }

    fn record(&self, woken: Woken) -> Option<Lease> {
        let Woken::Granted(lease) = woken else {
            return None;
        };
        let span = Span {
            invoked: self.invoked,
            answered: self.stage.tick(),
            wall_before: self.wall_before,
            wall_after: nanos(self.stage.now().wall),
        };
        let call = Call::Get(history::Get {
            name: named(self.at),
            min_ttl: 0,
            hit: None,
            lease: Some(granted(lease)),
        });
        let mut record = self.stage.record.lock().unwrap();
        record.push(Operation { span, call });
        Some(lease)
    }
}

fn granted(lease: Lease) -> history::Granted {
    history::Granted {
        token: *lease.token.as_bytes(),
        ttl: u64::try_from(lease.ttl.as_nanos()).unwrap(),
    }
}
