//! Who fetches, who waits for whom, and what each was told.

use std::{collections::BTreeMap, time::Duration};

use credcache::cache::{Count, Lease, Limits, Token, Woken};

use crate::{figures::Counted, names::Name};

pub(crate) struct Flights {
    /// Of every name with a lease or a gate, until it is found to be over.
    pub(crate) by_name: BTreeMap<Name, Flight>,
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
}

#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(crate) token: Token,
    pub(crate) granted: u64,
}

pub(crate) struct Waiter {
    pub(crate) name: Name,
    pub(crate) token: Option<Token>,
    pub(crate) told: Option<Woken>,
    /// Whether it knows what it was told.
    pub(crate) taken: bool,
}

/// What a lease that is granted now is like.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) granted: u64,
    pub(crate) due: u64,
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
    pub(crate) token: Option<Token>,
    pub(crate) wait: bool,
}

impl Flights {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            by_name: BTreeMap::new(),
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

    /// The lease of the name, if this is its token and it isn't over by time.
    pub(crate) fn current(&self, name: Name, token: Token, boot: u64) -> Option<Current> {
        let (current, due) = self.lease(name)?;
        (current.token == token && boot < due).then_some(current)
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
                token: asked.token,
                told: None,
                taken: false,
            };
            self.waiters.insert(self.so_far, waiter);
            counted.add(Count::Waits);
            counted.add(Count::Waiting);
            return Joined::Waits(self.so_far);
        }
        let Some(token) = asked.token else {
            return Joined::Nothing;
        };
        if self.by_name.len() >= self.limits.max_leases as usize {
            return Joined::TooManyLeases;
        }
        counted.add(Count::LeasesGranted);
        let flight = Flight {
            lease: Some(Current {
                token,
                granted: grant.granted,
            }),
            due: grant.due,
            queue: Vec::new(),
        };
        self.by_name.insert(name, flight);
        Joined::Leads
    }

    /// Ends the lease of a name. Exactly one, the first who asked for it, gets
    /// the next; or else everybody looks again.
    pub(crate) fn end(&mut self, name: Name, why: Count, over: Over, counted: &mut Counted) {
        let Some(flight) = self.by_name.get_mut(&name) else {
            return;
        };
        if flight.lease.is_some() {
            counted.add(why);
        }
        if let Over::Next(grant) = over {
            let waiters = &self.waiters;
            let asks = |id: &u64| waiters[id].token.is_some();
            if let Some(place) = flight.queue.iter().position(asks) {
                let next = flight.queue.remove(place);
                let waiter = self.waiters.get_mut(&next).expect("it waits");
                let token = waiter.token.expect("it asks");
                let ttl = grant.ttl;
                waiter.tell(Woken::Granted(Lease { token, ttl }));
                flight.lease = Some(Current {
                    token,
                    granted: grant.granted,
                });
                flight.due = grant.due;
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
            Over::Next(_) | Over::Filled => drop(self.by_name.remove(&name)),
        }
    }

    /// Everybody looks again.
    pub(crate) fn tell(&mut self, name: Name) {
        let Some(flight) = self.by_name.get_mut(&name) else {
            return;
        };
        for id in flight.queue.drain(..) {
            let waiter = self.waiters.get_mut(&id).expect("it waits");
            waiter.tell(Woken::Again);
        }
    }

    /// Ends all that is over by time.
    pub(crate) fn end_due(&mut self, boot: u64, grant: Grant, counted: &mut Counted) {
        let due = self.by_name.iter();
        let due = due.filter(|(_, flight)| flight.due <= boot);
        for name in due.map(|(name, _)| *name).collect::<Vec<_>>() {
            self.end(name, Count::LeasesExpired, Over::Next(grant), counted);
        }
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
            {
                flight.due = 0;
            }
        }
        waiter
    }
}

impl Waiter {
    fn tell(&mut self, woken: Woken) {
        assert!(self.told.is_none(), "told twice");
        self.told = Some(woken);
    }
}
