//! The lease table of one stripe: the leases of its keys, the Gets that wait for them, keys in a
//! cool-down, and lapsed leases, which ran out without a new grant for the key.
//!
//! The table knows nothing about credentials. Each waiter is notified exactly once. The caller
//! wakes the tasks after it has released the stripe's lock.

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
        recent::Recent,
        token::{Lease, LeaseRequest, Token},
        waiter::{Waiter, Woken},
    },
    model::{name::Name, time::BootTime},
    permits::Permit,
    store::namespaces::NamespaceRecord,
    work::budget::Budget,
};

pub(crate) struct LeaseTable {
    slots: HashTable<LeaseSlot>,
    /// The order in which leases and cool-downs end: due, serial number, hash.
    by_due: BTreeSet<(BootTime, u64, u64)>,
    serials: u64,
    /// Leases that ran out and are still current, because no new lease of their key was granted.
    lapsed: Recent<Granted>,
}

/// The state of a key that has a lease or is in a cool-down.
struct LeaseSlot {
    hash: u64,
    serial: u64,
    namespace: Arc<NamespaceRecord>,
    key: Box<str>,
    state: SlotState,
    due: BootTime,
    /// In the order of arrival. Empty during a cool-down.
    waiters: BTreeMap<u64, Arc<Waiter>>,
    _permit: Permit,
}

enum SlotState {
    Leased {
        token: Token,
        granted: Granted,
    },
    /// No lease is granted until the slot is due.
    CoolDown,
}

/// The lease of a key. It may have run out already.
pub(crate) struct CurrentLease {
    /// The latest revision when the lease was granted.
    pub(crate) granted: u64,
    pub(crate) due: BootTime,
}

/// What follows the end of a lease.
pub(crate) enum LeaseEnd {
    /// The first waiter that requested the lease gets a new lease on these terms.
    PassOn(Grant),
    /// A cool-down until this instant.
    CoolDown(BootTime),
    /// Nothing: the key was put.
    Filled,
}

/// The tasks to wake once no lock is held.
#[derive(Default)]
#[must_use]
pub(crate) struct Wakers(Vec<Waker>);

impl LeaseTable {
    /// An empty table that remembers up to `lapsed` leases that ran out.
    pub(crate) fn new(lapsed: usize) -> Self {
        Self {
            slots: HashTable::new(),
            by_due: BTreeSet::new(),
            serials: 0,
            lapsed: Recent::new(lapsed),
        }
    }

    /// Whether no key has a lease or a cool-down.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The lease of the key. A lapsed lease isn't included.
    pub(crate) fn lease(&self, hash: u64, name: Name<'_>) -> Option<CurrentLease> {
        let slot = self.find(hash, name)?;
        match &slot.state {
            SlotState::Leased { granted, .. } => Some(CurrentLease {
                granted: granted.revision,
                due: slot.due,
            }),
            SlotState::CoolDown => None,
        }
    }

    /// The end of the key's cool-down, if there is one.
    pub(crate) fn cool_down(&self, hash: u64, name: Name<'_>) -> Option<BootTime> {
        let slot = self.find(hash, name)?;
        matches!(slot.state, SlotState::CoolDown).then_some(slot.due)
    }

    /// Grants the lease of a key that has neither a lease nor a cool-down.
    pub(crate) fn grant_lease(
        &mut self,
        hash: u64,
        namespace: Arc<NamespaceRecord>,
        name: Name<'_>,
        request: LeaseRequest,
        grant: Grant,
        permit: Permit,
    ) -> Lease {
        namespace.tally.add(Count::LeasesGranted);
        // The key's lapsed lease is replaced, so it stops being current.
        self.lapsed.forget(hash, name);
        let lease = grant.lease(request);
        let state = SlotState::Leased {
            token: lease.token,
            granted: grant.into(),
        };
        let due = grant.now.after(lease.ttl);
        self.insert(hash, namespace, name, state, due, permit);
        lease
    }

    /// Adds a waiter for the key's lease. Returns `None` if there is no lease, or if `max` Gets
    /// wait for it already, or if no permit is left.
    pub(crate) fn wait(
        &mut self,
        hash: u64,
        name: Name<'_>,
        request: Option<LeaseRequest>,
        max: usize,
        permit: impl FnOnce() -> Option<Permit>,
    ) -> Option<Arc<Waiter>> {
        self.serials += 1;
        let number = self.serials;
        let slot = self.find_mut(hash, name)?;
        if slot.waiters.len() >= max {
            return None;
        }
        let waiter = Waiter::new(
            hash,
            number,
            slot.serial,
            slot.namespace.clone(),
            request,
            permit()?,
        );
        let waiter = Arc::new(waiter);
        slot.waiters.insert(number, waiter.clone());
        Some(waiter)
    }

    /// Ends the key's lease, if there is one.
    pub(crate) fn end(&mut self, hash: u64, name: Name<'_>, why: Count, next: LeaseEnd) -> Wakers {
        self.lapsed.forget(hash, name);
        let Some(slot) = self.find(hash, name) else {
            return Wakers::default();
        };
        let serial = slot.serial;
        self.end_slot(hash, serial, why, next)
    }

    /// Removes the key's cool-down if it has ended.
    pub(crate) fn end_cool_down(&mut self, hash: u64, name: Name<'_>, now: BootTime) {
        if let Some(slot) = self.find(hash, name)
            && slot.due <= now
        {
            let serial = slot.serial;
            self.remove(hash, serial);
        }
    }

    /// Ends leases and cool-downs that are due, and forgets lapsed leases that are too old, as many
    /// as the budget allows.
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
            let next = LeaseEnd::PassOn(grant());
            let ended = self.end_slot(hash, serial, Count::LeasesExpired, next);
            wakers.0.extend(ended.0);
        }
        self.lapsed.forget_due(now, budget);
        wakers
    }

    /// Removes a waiter that stops waiting. If the waiter was granted the lease and never learned
    /// of it, the lease is due at once, so that the next caller ends it.
    pub(crate) fn leave(&mut self, waiter: &Waiter) {
        let found = self
            .slots
            .find_mut(waiter.hash, |slot| slot.serial == waiter.slot);
        let Some(slot) = found else {
            return;
        };
        slot.waiters.remove(&waiter.number);
        if let (SlotState::Leased { token, .. }, Some(lease)) = (&slot.state, waiter.untaken())
            && *token == lease.token
        {
            self.by_due.remove(&slot.due_key());
            slot.due = BootTime::default();
            self.by_due.insert(slot.due_key());
        }
    }

    fn end_slot(&mut self, hash: u64, serial: u64, why: Count, next: LeaseEnd) -> Wakers {
        let mut wakers = Wakers::default();
        let found = self.slots.find_mut(hash, |slot| slot.serial == serial);
        let Some(slot) = found else {
            return wakers;
        };
        if matches!(slot.state, SlotState::Leased { .. }) {
            slot.namespace.tally.add(why);
        }
        let before = slot.due_key();
        let continues = match next {
            LeaseEnd::PassOn(grant) => slot.promote(grant, &mut wakers),
            LeaseEnd::CoolDown(until) => {
                slot.state = SlotState::CoolDown;
                slot.due = until;
                true
            }
            LeaseEnd::Filled => false,
        };
        if continues {
            if matches!(slot.state, SlotState::CoolDown) {
                slot.notify_all(&mut wakers);
            }
            let after = slot.due_key();
            self.by_due.remove(&before);
            self.by_due.insert(after);
        } else {
            slot.notify_all(&mut wakers);
            if let Some(slot) = self.remove(hash, serial)
                && why == Count::LeasesExpired
            {
                self.remember(slot);
            }
        }
        wakers
    }

    /// Remembers a lease that ran out.
    fn remember(&mut self, slot: LeaseSlot) {
        if let SlotState::Leased { token, granted } = slot.state {
            let name = (slot.namespace.name.clone(), slot.key);
            let until = granted.end();
            self.lapsed.remember(slot.hash, name, token, granted, until);
        }
    }

    fn insert(
        &mut self,
        hash: u64,
        namespace: Arc<NamespaceRecord>,
        name: Name<'_>,
        state: SlotState,
        due: BootTime,
        permit: Permit,
    ) {
        self.serials += 1;
        let slot = LeaseSlot {
            hash,
            serial: self.serials,
            namespace,
            key: name.key.as_str().into(),
            state,
            due,
            waiters: BTreeMap::new(),
            _permit: permit,
        };
        self.by_due.insert(slot.due_key());
        self.slots.insert_unique(hash, slot, |slot| slot.hash);
    }

    fn remove(&mut self, hash: u64, serial: u64) -> Option<LeaseSlot> {
        let found = self.slots.find_entry(hash, |slot| slot.serial == serial);
        let (slot, _) = found.ok()?.remove();
        self.by_due.remove(&slot.due_key());
        Some(slot)
    }

    fn find(&self, hash: u64, name: Name<'_>) -> Option<&LeaseSlot> {
        self.slots.find(hash, |slot| slot.is_named(name))
    }

    fn find_mut(&mut self, hash: u64, name: Name<'_>) -> Option<&mut LeaseSlot> {
        self.slots.find_mut(hash, |slot| slot.is_named(name))
    }
}

impl LeaseSlot {
    fn is_named(&self, name: Name<'_>) -> bool {
        *self.key == *name.key.as_str() && *self.namespace.name == *name.namespace.as_str()
    }

    fn due_key(&self) -> (BootTime, u64, u64) {
        (self.due, self.serial, self.hash)
    }

    /// Grants the lease to the first waiter that requested it. Returns whether there was such a
    /// waiter.
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
        self.state = SlotState::Leased {
            token: lease.token,
            granted: grant.into(),
        };
        self.due = grant.now.after(lease.ttl);
        if let Some(waiter) = self.waiters.remove(&number) {
            wakers.0.extend(waiter.notify(Woken::Granted(lease)));
        }
        true
    }

    fn notify_all(&mut self, wakers: &mut Wakers) {
        for waiter in std::mem::take(&mut self.waiters).into_values() {
            wakers.0.extend(waiter.notify(Woken::Again));
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
