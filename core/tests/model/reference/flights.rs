//! Who fetches, who waits for whom, and what each was told.

use std::{collections::BTreeMap, time::Duration};

use credcache_core::{Count, Lease, LeaseRequest, Limits, MAX_LEASE, Stored, Token, Woken};

use super::past::{Known, Past};
use crate::{clocks::nanos, figures::Counted, names::Name};

pub(crate) struct Flights {
    /// Of every name with a lease or a gate, until it is found to be over.
    pub(crate) by_name: BTreeMap<Name, Flight>,
    /// Leases that ran out, and nobody was granted the name's lease since.
    pub(crate) lapsed: Past<Current>,
    /// What the last fill of each name was answered.
    pub(crate) fills: Past<Stored>,
    /// All who wait or waited, until they go away.
    pub(crate) waiters: BTreeMap<u64, Waiter>,
    so_far: u64,
    limits: Limits,
}

pub(crate) struct Flight {
    /// None while there is a gate.
    pub(crate) lease: Option<Current>,
    pub(crate) due: u64,
    queue: Vec<u64>,
    /// It had run out. Whoever took it up knows of it, so one who was granted it
    /// and goes away without knowing leaves it.
    is_taken_up: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(crate) token: Token,
    pub(crate) granted: u64,
    /// When it is over whatever its holder does.
    pub(crate) end: u64,
}

pub(crate) struct Waiter {
    pub(crate) name: Name,
    pub(crate) request: Option<LeaseRequest>,
    pub(crate) told: Option<Woken>,
    /// Whether it knows what it was told.
    pub(crate) taken: bool,
}

/// What a lease that is granted now is like.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) granted: u64,
    pub(crate) boot: u64,
    /// If no other is asked for.
    pub(crate) ttl: Duration,
}

/// What comes after a lease.
#[derive(Clone, Copy)]
pub(crate) enum Over {
    Next(Grant),
    Gate(u64),
    Filled,
}

/// What one who asks is to be answered.
pub(crate) enum Joined {
    Leads,
    Waits(u64),
    /// Somebody else has the lease for this long.
    Behind {
        left: u64,
    },
    Gated {
        left: u64,
    },
    TooManyLeases,
    Nothing,
}

/// What one asks for.
pub(crate) struct Asked {
    pub(crate) request: Option<LeaseRequest>,
    pub(crate) wait: bool,
}

impl Flights {
    /// Each part of the names remembers up to `past` leases that ran out, and as
    /// many fills.
    pub(crate) fn new(limits: Limits, past: usize) -> Self {
        Self {
            by_name: BTreeMap::new(),
            lapsed: Past::new(past),
            fills: Past::new(past),
            waiters: BTreeMap::new(),
            so_far: 0,
            limits,
        }
    }

    /// The lease of the name, found to be over or not.
    pub(crate) fn lease(&self, name: Name) -> Option<(Current, u64)> {
        let flight = self.by_name.get(&name)?;
        Some((flight.lease?, flight.due))
    }

    /// The lease with this token, if it is the name's current one.
    pub(crate) fn current(&self, name: Name, token: Token, boot: u64) -> Option<Known<Current>> {
        if self.by_name.contains_key(&name) {
            let (current, _) = self.lease(name)?;
            let is_it = current.token == token && boot < current.end;
            return is_it.then_some(Known::Yes(current));
        }
        self.lapsed.of(name, token, boot)
    }

    /// Takes a lease up again that ran out; whether there is room for it.
    pub(crate) fn take_up(&mut self, name: Name, current: Current) -> bool {
        if self.by_name.contains_key(&name) {
            return true;
        }
        let has_room = self.has_room();
        if has_room {
            self.lapsed.forget(name);
            let flight = Flight {
                lease: Some(current),
                due: 0,
                queue: Vec::new(),
                is_taken_up: true,
            };
            self.by_name.insert(name, flight);
        }
        has_room
    }

    /// Whether one more key may have a lease.
    pub(crate) fn has_room(&self) -> bool {
        self.by_name.len() < self.limits.max_leases as usize
    }

    /// The name was put without its lease.
    pub(crate) fn supersede(&mut self, name: Name, counted: &mut Counted) -> bool {
        let flight = self.by_name.get(&name);
        let is_leased = flight.is_some_and(|flight| flight.lease.is_some());
        let has_lapsed = self.lapsed.by_name.contains_key(&name);
        if is_leased || flight.is_none() {
            self.end(name, Count::LeasesSuperseded, Over::Filled, counted);
        }
        is_leased || has_lapsed
    }

    /// Opens the gate of a name, if it is time.
    pub(crate) fn open_gate(&mut self, name: Name, boot: u64) -> bool {
        let flight = self.by_name.get(&name);
        let is_over = flight.is_some_and(|flight| flight.lease.is_none() && flight.due <= boot);
        if is_over {
            self.by_name.remove(&name);
        }
        is_over
    }

    pub(crate) fn join(
        &mut self,
        name: Name,
        asked: Asked,
        boot: u64,
        grant: Grant,
        counted: &mut Counted,
    ) -> Joined {
        if let Some(flight) = self.by_name.get_mut(&name) {
            let left = flight.due - boot;
            if flight.lease.is_none() {
                return Joined::Gated { left };
            }
            let has_room = flight.queue.len() < self.limits.max_waiters_per_key as usize
                && self.waiters.len() < self.limits.max_waiters as usize;
            if !asked.wait || !has_room {
                return Joined::Behind { left };
            }
            self.so_far += 1;
            flight.queue.push(self.so_far);
            let waiter = Waiter {
                name,
                request: asked.request,
                told: None,
                taken: false,
            };
            self.waiters.insert(self.so_far, waiter);
            counted.add(Count::Waits);
            counted.add(Count::Waiting);
            return Joined::Waits(self.so_far);
        }
        let Some(request) = asked.request else {
            return Joined::Nothing;
        };
        if !self.has_room() {
            return Joined::TooManyLeases;
        }
        counted.add(Count::LeasesGranted);
        self.lapsed.forget(name);
        let flight = Flight {
            lease: Some(grant.current(request)),
            due: grant.boot + nanos(grant.lease(request).ttl),
            queue: Vec::new(),
            is_taken_up: false,
        };
        self.by_name.insert(name, flight);
        Joined::Leads
    }

    /// Ends the lease of a name. Exactly one, the first who asked for it, gets
    /// the next; or else everybody looks again.
    pub(crate) fn end(&mut self, name: Name, why: Count, over: Over, counted: &mut Counted) {
        self.lapsed.forget(name);
        let Some(flight) = self.by_name.get_mut(&name) else {
            return;
        };
        if flight.lease.is_some() {
            counted.add(why);
        }
        if let Over::Next(grant) = over {
            let waiters = &self.waiters;
            let asks = |id: &u64| waiters[id].request.is_some();
            if let Some(place) = flight.queue.iter().position(asks) {
                let next = flight.queue.remove(place);
                let waiter = self.waiters.get_mut(&next).expect("it waits");
                let request = waiter.request.expect("it asks");
                let lease = grant.lease(request);
                waiter.tell(Woken::Granted(lease));
                flight.lease = Some(grant.current(request));
                flight.due = grant.boot + nanos(lease.ttl);
                flight.is_taken_up = false;
                counted.add(Count::LeasesGranted);
                return;
            }
        }
        self.tell(name);
        match over {
            Over::Gate(until) => {
                let flight = self.by_name.get_mut(&name).expect("found above");
                flight.lease = None;
                flight.due = until;
            }
            Over::Next(_) | Over::Filled => {
                let flight = self.by_name.remove(&name).expect("found above");
                if let (Some(lease), Count::LeasesExpired) = (flight.lease, why) {
                    self.lapsed.remember(name, lease.token, lease, lease.end);
                }
            }
        }
    }

    /// Everybody looks again.
    fn tell(&mut self, name: Name) {
        let Some(flight) = self.by_name.get_mut(&name) else {
            return;
        };
        for id in flight.queue.drain(..) {
            let waiter = self.waiters.get_mut(&id).expect("it waits");
            waiter.tell(Woken::Again);
        }
    }

    /// Ends all that is over by time, and forgets what needn't be known longer.
    pub(crate) fn end_due(&mut self, boot: u64, grant: Grant, counted: &mut Counted) {
        let due = self.by_name.iter();
        let due = due.filter(|(_, flight)| flight.due <= boot);
        for name in due.map(|(name, _)| *name).collect::<Vec<_>>() {
            self.end(name, Count::LeasesExpired, Over::Next(grant), counted);
        }
        self.lapsed.forget_due(boot);
        self.fills.forget_due(boot);
    }

    /// One who waits goes away. If it was granted the lease and doesn't know,
    /// that is over, for whoever looks next.
    pub(crate) fn leave(&mut self, id: u64, counted: &mut Counted) -> Waiter {
        counted.sub(Count::Waiting);
        let waiter = self.waiters.remove(&id).expect("it waits");
        if let Some(flight) = self.by_name.get_mut(&waiter.name) {
            flight.queue.retain(|one| *one != id);
            if let (Some(Woken::Granted(lease)), false) = (waiter.told, waiter.taken)
                && flight.lease.is_some_and(|own| own.token == lease.token)
                && !flight.is_taken_up
            {
                flight.due = 0;
            }
        }
        waiter
    }
}

impl Grant {
    pub(crate) fn lease(self, request: LeaseRequest) -> Lease {
        Lease {
            token: request.token,
            ttl: request.ttl.unwrap_or(self.ttl),
        }
    }

    fn current(self, request: LeaseRequest) -> Current {
        Current {
            token: request.token,
            granted: self.granted,
            end: self.boot + nanos(MAX_LEASE),
        }
    }
}

impl Waiter {
    fn tell(&mut self, woken: Woken) {
        assert!(self.told.is_none(), "told twice");
        self.told = Some(woken);
    }
}
