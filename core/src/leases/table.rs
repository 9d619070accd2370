//! The fetches under way in one stripe: who holds a key's lease, who waits for
//! it, and which keys are in a cool-down; and which leases ran out, but nobody
//! was granted the key's lease since.
//!
//! Knows nothing of credentials. Whoever waits is told exactly once; tasks are
//! woken by the caller, after it has released the stripe's lock.

mod holding;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    task::Waker,
};

use hashbrown::HashTable;

use crate::{
    counters::Count,
    leases::{
        grant::{Grant, Granted},
        recent::Past,
        token::{Lease, LeaseRequest, Token},
        waiter::{Waiter, Woken},
    },
    model::{name::Name, time::BootTime},
    permits::Place,
    store::namespaces::Namespace,
    work::budget::Budget,
};

pub(crate) struct Flights {
    flights: HashTable<Flight>,
    /// When each lease or gate is over: due, serial, hash.
    by_due: BTreeSet<(BootTime, u64, u64)>,
    serials: u64,
    /// Leases that ran out and weren't granted anew: current still.
    lapsed: Past<Granted>,
}

/// A key with a lease or a gate.
struct Flight {
    hash: u64,
    serial: u64,
    namespace: Arc<Namespace>,
    key: Box<str>,
    state: State,
    due: BootTime,
    /// In the order they came. None while there is a gate.
    waiters: BTreeMap<u64, Arc<Waiter>>,
    _place: Place,
}

enum State {
    Leased {
        token: Token,
        granted: Granted,
    },
    /// No lease is granted.
    Gated,
}

/// A key's lease. Its time may be over.
pub(crate) struct Held {
    /// The latest revision when it was granted.
    pub(crate) granted: u64,
    pub(crate) due: BootTime,
}

/// What comes after a lease.
pub(crate) enum Over {
    /// Another, for the first who waits for one.
    Next(Grant),
    /// None until then.
    Gate(BootTime),
    /// What it was for.
    Filled,
}

/// Tasks to wake once no lock is held.
#[derive(Default)]
#[must_use]
pub(crate) struct Wakers(Vec<Waker>);

impl Flights {
    /// None, with room to remember so many leases that ran out.
    pub(crate) fn new(lapsed: usize) -> Self {
        Self {
            flights: HashTable::new(),
            by_due: BTreeSet::new(),
            serials: 0,
            lapsed: Past::new(lapsed),
        }
    }

    /// Whether there is neither lease nor gate.
    pub(crate) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// The key's lease, unless it is known to have run out.
    pub(crate) fn lease(&self, hash: u64, name: Name<'_>) -> Option<Held> {
        let flight = self.find(hash, name)?;
        match &flight.state {
            State::Leased { granted, .. } => Some(Held {
                granted: granted.revision,
                due: flight.due,
            }),
            State::Gated => None,
        }
    }

    /// Until when no lease of the key is granted.
    pub(crate) fn gate(&self, hash: u64, name: Name<'_>) -> Option<BootTime> {
        let flight = self.find(hash, name)?;
        matches!(flight.state, State::Gated).then_some(flight.due)
    }

    /// Grants the lease of a key that has neither lease nor gate.
    pub(crate) fn lead(
        &mut self,
        hash: u64,
        namespace: Arc<Namespace>,
        name: Name<'_>,
        request: LeaseRequest,
        grant: Grant,
        place: Place,
    ) -> Lease {
        namespace.tally.add(Count::LeasesGranted);
        // Somebody else's turn: it is current no longer.
        self.lapsed.forget(hash, name);
        let lease = grant.lease(request);
        let state = State::Leased {
            token: lease.token,
            granted: grant.into(),
        };
        let due = grant.now.after(lease.ttl);
        self.insert(hash, namespace, name, state, due, place);
        lease
    }

    /// Waits for the holder of the key's lease, unless too many do.
    pub(crate) fn wait(
        &mut self,
        hash: u64,
        name: Name<'_>,
        request: Option<LeaseRequest>,
        most: usize,
        place: impl FnOnce() -> Option<Place>,
    ) -> Option<Arc<Waiter>> {
        self.serials += 1;
        let number = self.serials;
        let flight = self.find_mut(hash, name)?;
        if flight.waiters.len() >= most {
            return None;
        }
        let waiter = Waiter::new(
            hash,
            number,
            flight.serial,
            flight.namespace.clone(),
            request,
            place()?,
        );
        let waiter = Arc::new(waiter);
        flight.waiters.insert(number, waiter.clone());
        Some(waiter)
    }

    /// Ends the key's lease, if there is one.
    pub(crate) fn end(&mut self, hash: u64, name: Name<'_>, why: Count, over: Over) -> Wakers {
        self.lapsed.forget(hash, name);
        let Some(flight) = self.find(hash, name) else {
            return Wakers::default();
        };
        let serial = flight.serial;
        self.end_flight(hash, serial, why, over)
    }

    /// Lets leases of the key be granted again, if it is time.
    pub(crate) fn open_gate(&mut self, hash: u64, name: Name<'_>, now: BootTime) {
        if let Some(flight) = self.find(hash, name)
            && flight.due <= now
        {
            let serial = flight.serial;
            self.remove(hash, serial);
        }
    }

    /// Ends what is over, and forgets what ran out too long ago, as much of it as
    /// the budget allows.
    pub(crate) fn end_due(
        &mut self,
        now: BootTime,
        grant: impl Fn() -> Grant,
        budget: &mut Budget,
    ) -> Wakers {
        let mut wakers = Wakers::default();
        while !budget.is_spent()
            && let Some(&(due, serial, hash)) = self.by_due.first()
            && due <= now
        {
            budget.remove_other();
            let over = Over::Next(grant());
            let ended = self.end_flight(hash, serial, Count::LeasesExpired, over);
            wakers.0.extend(ended.0);
        }
        self.lapsed.forget_due(now, budget);
        wakers
    }

    /// Takes one who doesn't wait any longer from the queue. If it was granted
    /// the lease and never came to know, that is over at once, for whoever
    /// looks next.
    pub(crate) fn leave(&mut self, waiter: &Waiter) {
        let found = self
            .flights
            .find_mut(waiter.hash, |flight| flight.serial == waiter.flight);
        let Some(flight) = found else {
            return;
        };
        flight.waiters.remove(&waiter.number);
        if let (State::Leased { token, .. }, Some(lease)) = (&flight.state, waiter.untaken())
            && *token == lease.token
        {
            self.by_due.remove(&flight.entry());
            flight.due = BootTime::default();
            self.by_due.insert(flight.entry());
        }
    }

    fn end_flight(&mut self, hash: u64, serial: u64, why: Count, over: Over) -> Wakers {
        let mut wakers = Wakers::default();
        let found = self
            .flights
            .find_mut(hash, |flight| flight.serial == serial);
        let Some(flight) = found else {
            return wakers;
        };
        if matches!(flight.state, State::Leased { .. }) {
            flight.namespace.tally.add(why);
        }
        let before = flight.entry();
        let goes_on = match over {
            Over::Next(grant) => flight.promote(grant, &mut wakers),
            Over::Gate(until) => {
                flight.state = State::Gated;
                flight.due = until;
                true
            }
            Over::Filled => false,
        };
        if goes_on {
            if matches!(flight.state, State::Gated) {
                flight.tell_all(&mut wakers);
            }
            let after = flight.entry();
            self.by_due.remove(&before);
            self.by_due.insert(after);
        } else {
            flight.tell_all(&mut wakers);
            if let Some(flight) = self.remove(hash, serial)
                && why == Count::LeasesExpired
            {
                self.remember(flight);
            }
        }
        wakers
    }

    /// Remembers the lease of a key that ran out.
    fn remember(&mut self, flight: Flight) {
        if let State::Leased { token, granted } = flight.state {
            let name = (flight.namespace.name.clone(), flight.key);
            let until = granted.end();
            self.lapsed
                .remember(flight.hash, name, token, granted, until);
        }
    }

    fn insert(
        &mut self,
        hash: u64,
        namespace: Arc<Namespace>,
        name: Name<'_>,
        state: State,
        due: BootTime,
        place: Place,
    ) {
        self.serials += 1;
        let flight = Flight {
            hash,
            serial: self.serials,
            namespace,
            key: name.key.as_str().into(),
            state,
            due,
            waiters: BTreeMap::new(),
            _place: place,
        };
        self.by_due.insert(flight.entry());
        self.flights
            .insert_unique(hash, flight, |flight| flight.hash);
    }

    fn remove(&mut self, hash: u64, serial: u64) -> Option<Flight> {
        let found = self
            .flights
            .find_entry(hash, |flight| flight.serial == serial);
        let (flight, _) = found.ok()?.remove();
        self.by_due.remove(&flight.entry());
        Some(flight)
    }

    fn find(&self, hash: u64, name: Name<'_>) -> Option<&Flight> {
        self.flights.find(hash, |flight| flight.is_named(name))
    }

    fn find_mut(&mut self, hash: u64, name: Name<'_>) -> Option<&mut Flight> {
        self.flights.find_mut(hash, |flight| flight.is_named(name))
    }
}

impl Flight {
    fn is_named(&self, name: Name<'_>) -> bool {
        *self.key == *name.key.as_str() && *self.namespace.name == *name.namespace.as_str()
    }

    fn entry(&self) -> (BootTime, u64, u64) {
        (self.due, self.serial, self.hash)
    }

    /// Gives the lease to the first who waits for it; whether there was one.
    fn promote(&mut self, grant: Grant, wakers: &mut Wakers) -> bool {
        let next = self
            .waiters
            .iter()
            .find_map(|(number, waiter)| Some((*number, waiter.request?)));
        let Some((number, request)) = next else {
            return false;
        };
        self.namespace.tally.add(Count::LeasesGranted);
        let lease = grant.lease(request);
        self.state = State::Leased {
            token: lease.token,
            granted: grant.into(),
        };
        self.due = grant.now.after(lease.ttl);
        if let Some(waiter) = self.waiters.remove(&number) {
            wakers.0.extend(waiter.tell(Woken::Granted(lease)));
        }
        true
    }

    fn tell_all(&mut self, wakers: &mut Wakers) {
        for waiter in std::mem::take(&mut self.waiters).into_values() {
            wakers.0.extend(waiter.tell(Woken::Again));
        }
    }
}

impl Wakers {
    pub(crate) fn wake(self) {
        for waker in self.0 {
            waker.wake();
        }
    }
}
