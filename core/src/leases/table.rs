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
    /// When each lease or cool-down is over: due, serial, hash.
    by_due: BTreeSet<(BootTime, u64, u64)>,
    serials: u64,
    /// Leases that ran out and weren't granted anew: current still.
    lapsed: Recent<Granted>,
}

/// A key with a lease or a cool-down.
struct LeaseSlot {
    hash: u64,
    serial: u64,
    namespace: Arc<NamespaceRecord>,
    key: Box<str>,
    state: SlotState,
    due: BootTime,
    /// In the order they came. None while there is a cool-down.
    waiters: BTreeMap<u64, Arc<Waiter>>,
    _permit: Permit,
}

enum SlotState {
    Leased {
        token: Token,
        granted: Granted,
    },
    /// No lease is granted.
    CoolDown,
}

/// A key's lease. Its time may be over.
pub(crate) struct CurrentLease {
    /// The latest revision when it was granted.
    pub(crate) granted: u64,
    pub(crate) due: BootTime,
}

/// What comes after a lease.
pub(crate) enum LeaseEnd {
    /// Another, for the first who waits for one.
    PassOn(Grant),
    /// None until then.
    CoolDown(BootTime),
    /// What it was for.
    Filled,
}

/// Tasks to wake once no lock is held.
#[derive(Default)]
#[must_use]
pub(crate) struct Wakers(Vec<Waker>);

impl LeaseTable {
    /// None, with room to remember so many leases that ran out.
    pub(crate) fn new(lapsed: usize) -> Self {
        Self {
            slots: HashTable::new(),
            by_due: BTreeSet::new(),
            serials: 0,
            lapsed: Recent::new(lapsed),
        }
    }

    /// Whether there is neither lease nor cool-down.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The key's lease, unless it is known to have run out.
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

    /// Until when no lease of the key is granted.
    pub(crate) fn cool_down(&self, hash: u64, name: Name<'_>) -> Option<BootTime> {
        let slot = self.find(hash, name)?;
        matches!(slot.state, SlotState::CoolDown).then_some(slot.due)
    }

    /// Grants the lease of a key that has neither lease nor cool-down.
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
        // Somebody else's turn: it is current no longer.
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

    /// Waits for the holder of the key's lease, unless too many do.
    pub(crate) fn wait(
        &mut self,
        hash: u64,
        name: Name<'_>,
        request: Option<LeaseRequest>,
        most: usize,
        permit: impl FnOnce() -> Option<Permit>,
    ) -> Option<Arc<Waiter>> {
        self.serials += 1;
        let number = self.serials;
        let slot = self.find_mut(hash, name)?;
        if slot.waiters.len() >= most {
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
    pub(crate) fn end(&mut self, hash: u64, name: Name<'_>, why: Count, over: LeaseEnd) -> Wakers {
        self.lapsed.forget(hash, name);
        let Some(slot) = self.find(hash, name) else {
            return Wakers::default();
        };
        let serial = slot.serial;
        self.end_slot(hash, serial, why, over)
    }

    /// Lets leases of the key be granted again, if it is time.
    pub(crate) fn end_cool_down(&mut self, hash: u64, name: Name<'_>, now: BootTime) {
        if let Some(slot) = self.find(hash, name)
            && slot.due <= now
        {
            let serial = slot.serial;
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
            let over = LeaseEnd::PassOn(grant());
            let ended = self.end_slot(hash, serial, Count::LeasesExpired, over);
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
            .slots
            .find_mut(waiter.hash, |slot| slot.serial == waiter.slot);
        let Some(slot) = found else {
            return;
        };
        slot.waiters.remove(&waiter.number);
        if let (SlotState::Leased { token, .. }, Some(lease)) = (&slot.state, waiter.untaken())
            && *token == lease.token
        {
            self.by_due.remove(&slot.entry());
            slot.due = BootTime::default();
            self.by_due.insert(slot.entry());
        }
    }

    fn end_slot(&mut self, hash: u64, serial: u64, why: Count, over: LeaseEnd) -> Wakers {
        let mut wakers = Wakers::default();
        let found = self.slots.find_mut(hash, |slot| slot.serial == serial);
        let Some(slot) = found else {
            return wakers;
        };
        if matches!(slot.state, SlotState::Leased { .. }) {
            slot.namespace.tally.add(why);
        }
        let before = slot.entry();
        let goes_on = match over {
            LeaseEnd::PassOn(grant) => slot.promote(grant, &mut wakers),
            LeaseEnd::CoolDown(until) => {
                slot.state = SlotState::CoolDown;
                slot.due = until;
                true
            }
            LeaseEnd::Filled => false,
        };
        if goes_on {
            if matches!(slot.state, SlotState::CoolDown) {
                slot.tell_all(&mut wakers);
            }
            let after = slot.entry();
            self.by_due.remove(&before);
            self.by_due.insert(after);
        } else {
            slot.tell_all(&mut wakers);
            if let Some(slot) = self.remove(hash, serial)
                && why == Count::LeasesExpired
            {
                self.remember(slot);
            }
        }
        wakers
    }

    /// Remembers the lease of a key that ran out.
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
        self.by_due.insert(slot.entry());
        self.slots.insert_unique(hash, slot, |slot| slot.hash);
    }

    fn remove(&mut self, hash: u64, serial: u64) -> Option<LeaseSlot> {
        let found = self.slots.find_entry(hash, |slot| slot.serial == serial);
        let (slot, _) = found.ok()?.remove();
        self.by_due.remove(&slot.entry());
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
        self.state = SlotState::Leased {
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
