//! The leases and their waiters, and how each waiter was notified.

use std::{collections::BTreeMap, time::Duration};

use credcache_core::{Count, Lease, LeaseRequest, Limits, MAX_LEASE, Stored, Token, Woken};

use super::recent::{Known, Recent};
use crate::{clocks::nanos, figures::Counted, names::Name};

pub(crate) struct LeaseTable {
    /// The state of every name with a lease or in a cool-down, until its end is noticed.
    pub(crate) by_name: BTreeMap<Name, Slot>,
    /// Leases that ran out without a new grant for the name.
    pub(crate) lapsed: Recent<Current>,
    /// The answers to the last fill of each name.
    pub(crate) fills: Recent<Stored>,
    /// All waiters until they are dropped, notified or not.
    pub(crate) waiters: BTreeMap<u64, Waiter>,
    so_far: u64,
    limits: Limits,
}

pub(crate) struct Slot {
    /// `None` during a cool-down.
    pub(crate) lease: Option<Current>,
    pub(crate) due: u64,
    queue: Vec<u64>,
    /// The lease was lapsed, and an extension revived it. Its holder knows it, so the drop of a
    /// waiter that was granted it doesn't end it.
    is_revived: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(crate) token: Token,
    pub(crate) granted: u64,
    /// When the lease stops being current, even if it is extended.
    pub(crate) end: u64,
}

pub(crate) struct Waiter {
    pub(crate) name: Name,
    pub(crate) request: Option<LeaseRequest>,
    pub(crate) notice: Option<Woken>,
    /// Whether the waiter has taken its notification.
    pub(crate) taken: bool,
}

/// The terms of a lease that is granted now.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) granted: u64,
    pub(crate) boot: u64,
    /// The lifetime if the request states none.
    pub(crate) ttl: Duration,
}

/// What follows the end of a lease.
#[derive(Clone, Copy)]
pub(crate) enum LeaseEnd {
    PassOn(Grant),
    CoolDown(u64),
    Filled,
}

/// The expected answer to a query.
pub(crate) enum Joined {
    Granted,
    Waits(u64),
    /// Another caller has the lease for this long.
    Busy {
        left: u64,
    },
    CoolDown {
        left: u64,
    },
    TooManyLeases,
    Nothing,
}

/// What a query asks for.
pub(crate) struct Query {
    pub(crate) request: Option<LeaseRequest>,
    pub(crate) wait: bool,
}

impl LeaseTable {
    /// Each stripe remembers up to `recent` lapsed leases, and as many fills.
    pub(crate) fn new(limits: Limits, recent: usize) -> Self {
        Self {
            by_name: BTreeMap::new(),
            lapsed: Recent::new(recent),
            fills: Recent::new(recent),
            waiters: BTreeMap::new(),
            so_far: 0,
            limits,
        }
    }

    /// The lease of the name and when it is due, whether or not its end was noticed.
    pub(crate) fn lease(&self, name: Name) -> Option<(Current, u64)> {
        let slot = self.by_name.get(&name)?;
        Some((slot.lease?, slot.due))
    }

    /// The lease with this token, if it is the name's current lease.
    pub(crate) fn current(&self, name: Name, token: Token, boot: u64) -> Option<Known<Current>> {
        if self.by_name.contains_key(&name) {
            let (current, _) = self.lease(name)?;
            let matches = current.token == token && boot < current.end;
            return matches.then_some(Known::Yes(current));
        }
        self.lapsed.get(name, token, boot)
    }

    /// Revives a lapsed lease. Returns whether there is room for it.
    pub(crate) fn revive(&mut self, name: Name, current: Current) -> bool {
        if self.by_name.contains_key(&name) {
            return true;
        }
        let has_room = self.has_room();
        if has_room {
            self.lapsed.forget(name);
            let slot = Slot {
                lease: Some(current),
                due: 0,
                queue: Vec::new(),
                is_revived: true,
            };
            self.by_name.insert(name, slot);
        }
        has_room
    }

    /// Whether one more key may have a lease.
    pub(crate) fn has_room(&self) -> bool {
        self.by_name.len() < self.limits.max_leases as usize
    }

    /// The name was put without its lease.
    pub(crate) fn supersede(&mut self, name: Name, counted: &mut Counted) -> bool {
        let slot = self.by_name.get(&name);
        let is_leased = slot.is_some_and(|slot| slot.lease.is_some());
        let has_lapsed = self.lapsed.by_name.contains_key(&name);
        if is_leased || slot.is_none() {
            self.end(name, Count::LeasesSuperseded, LeaseEnd::Filled, counted);
        }
        is_leased || has_lapsed
    }

    /// Ends the cool-down of a name if it is due.
    pub(crate) fn end_cool_down(&mut self, name: Name, boot: u64) -> bool {
        let slot = self.by_name.get(&name);
        let is_over = slot.is_some_and(|slot| slot.lease.is_none() && slot.due <= boot);
        if is_over {
            self.by_name.remove(&name);
        }
        is_over
    }

    pub(crate) fn join(
        &mut self,
        name: Name,
        query: Query,
        boot: u64,
        grant: Grant,
        counted: &mut Counted,
    ) -> Joined {
        if let Some(slot) = self.by_name.get_mut(&name) {
            let left = slot.due - boot;
            if slot.lease.is_none() {
                return Joined::CoolDown { left };
            }
            let has_room = slot.queue.len() < self.limits.max_waiters_per_key as usize
                && self.waiters.len() < self.limits.max_waiters as usize;
            if !query.wait || !has_room {
                return Joined::Busy { left };
            }
            self.so_far += 1;
            slot.queue.push(self.so_far);
            let waiter = Waiter {
                name,
                request: query.request,
                notice: None,
                taken: false,
            };
            self.waiters.insert(self.so_far, waiter);
            counted.add(Count::Waits);
            counted.add(Count::Waiting);
            return Joined::Waits(self.so_far);
        }
        let Some(request) = query.request else {
            return Joined::Nothing;
        };
        if !self.has_room() {
            return Joined::TooManyLeases;
        }
        counted.add(Count::LeasesGranted);
        self.lapsed.forget(name);
        let slot = Slot {
            lease: Some(grant.current(request)),
            due: grant.boot + nanos(grant.lease(request).ttl),
            queue: Vec::new(),
            is_revived: false,
        };
        self.by_name.insert(name, slot);
        Joined::Granted
    }

    /// Ends the lease of a name. The first waiter that requested the lease gets the next lease; if
    /// there is none, all waiters look again.
    pub(crate) fn end(&mut self, name: Name, reason: Count, then: LeaseEnd, counted: &mut Counted) {
        self.lapsed.forget(name);
        let Some(slot) = self.by_name.get_mut(&name) else {
            return;
        };
        if slot.lease.is_some() {
            counted.add(reason);
        }
        if let LeaseEnd::PassOn(grant) = then {
            let waiters = &self.waiters;
            let asks = |id: &u64| waiters[id].request.is_some();
            if let Some(index) = slot.queue.iter().position(asks) {
                let next = slot.queue.remove(index);
                let waiter = self.waiters.get_mut(&next).expect("a waiter");
                let request = waiter.request.expect("it requests the lease");
                let lease = grant.lease(request);
                waiter.notify(Woken::Granted(lease));
                slot.lease = Some(grant.current(request));
                slot.due = grant.boot + nanos(lease.ttl);
                slot.is_revived = false;
                counted.add(Count::LeasesGranted);
                return;
            }
        }
        self.notify_all(name);
        match then {
            LeaseEnd::CoolDown(until) => {
                let slot = self.by_name.get_mut(&name).expect("found above");
                slot.lease = None;
                slot.due = until;
            }
            LeaseEnd::PassOn(_) | LeaseEnd::Filled => {
                let slot = self.by_name.remove(&name).expect("found above");
                if let (Some(lease), Count::LeasesExpired) = (slot.lease, reason) {
                    self.lapsed.remember(name, lease.token, lease, lease.end);
                }
            }
        }
    }

    /// Notifies all waiters to look again.
    fn notify_all(&mut self, name: Name) {
        let Some(slot) = self.by_name.get_mut(&name) else {
            return;
        };
        for id in slot.queue.drain(..) {
            let waiter = self.waiters.get_mut(&id).expect("a waiter");
            waiter.notify(Woken::Again);
        }
    }

    /// Ends leases and cool-downs that are due, and forgets old lapsed leases and fills.
    pub(crate) fn end_due(&mut self, boot: u64, grant: Grant, counted: &mut Counted) {
        let due = self.by_name.iter();
        let due = due.filter(|(_, slot)| slot.due <= boot);
        for name in due.map(|(name, _)| *name).collect::<Vec<_>>() {
            self.end(name, Count::LeasesExpired, LeaseEnd::PassOn(grant), counted);
        }
        self.lapsed.forget_due(boot);
        self.fills.forget_due(boot);
    }

    /// Drops a waiter. If it was granted the lease and hasn't learned of it, the lease is due at
    /// once.
    pub(crate) fn leave(&mut self, id: u64, counted: &mut Counted) -> Waiter {
        counted.sub(Count::Waiting);
        let waiter = self.waiters.remove(&id).expect("a waiter");
        if let Some(slot) = self.by_name.get_mut(&waiter.name) {
            slot.queue.retain(|one| *one != id);
            if let (Some(Woken::Granted(lease)), false) = (waiter.notice, waiter.taken)
                && slot.lease.is_some_and(|own| own.token == lease.token)
                && !slot.is_revived
            {
                slot.due = 0;
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
    fn notify(&mut self, woken: Woken) {
        assert!(self.notice.is_none(), "notified twice");
        self.notice = Some(woken);
    }
}
