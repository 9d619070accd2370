//! The operations of a lease's holder, and how long they are possible.
//!
//! A lease is current from its grant until it is ended or another lease of the key is granted. So
//! it may stay current after it has run out: as long as no other caller was asked to fetch, the
//! holder's fetch is the best one to wait for.

use std::{sync::Arc, time::Duration};

use crate::{
    counters::{Count, Tally},
    leases::{
        table::{LeaseEnd, LeaseTable, SlotState, Wakers},
        token::Token,
    },
    model::{name::Name, time::BootTime},
    permits::Permit,
    store::namespaces::NamespaceRecord,
};

impl LeaseTable {
    /// Whether any lapsed lease is remembered.
    pub(crate) fn has_lapsed(&self) -> bool {
        !self.lapsed.is_empty()
    }

    /// The latest revision when the lease with this token was granted, if that lease is the key's
    /// current lease.
    pub(crate) fn granted(
        &self,
        hash: u64,
        name: Name<'_>,
        token: Token,
        now: BootTime,
    ) -> Option<u64> {
        let granted = match self.find(hash, name).map(|slot| &slot.state) {
            Some(SlotState::Leased {
                token: own,
                granted,
            }) if *own == token => granted,
            Some(SlotState::Leased { .. } | SlotState::CoolDown) => return None,
            None => self.lapsed.get(hash, name, token, now)?,
        };
        (now < granted.end()).then_some(granted.revision)
    }

    /// Ends the key's current lease, which was filled.
    pub(crate) fn fill(&mut self, hash: u64, name: Name<'_>, tally: &Tally) -> Wakers {
        if self.lapsed.forget(hash, name).is_some() {
            tally.add(Count::LeasesFilled);
        }
        self.end(hash, name, Count::LeasesFilled, LeaseEnd::Filled)
    }

    /// Ends the key's lease because the key was put without it: the credential that its holder is
    /// fetching is older. A cool-down continues.
    pub(crate) fn supersede(&mut self, hash: u64, name: Name<'_>) -> Wakers {
        match self.find(hash, name).map(|slot| &slot.state) {
            Some(SlotState::CoolDown) => Wakers::default(),
            Some(SlotState::Leased { .. }) | None => {
                self.end(hash, name, Count::LeasesSuperseded, LeaseEnd::Filled)
            }
        }
    }

    /// Extends a lease in the table to `ttl` from now, but at most to the end of its maximum time.
    /// Never shortens the lease. Returns the remaining time.
    pub(crate) fn extend(
        &mut self,
        hash: u64,
        name: Name<'_>,
        token: Token,
        ttl: Duration,
        now: BootTime,
    ) -> Option<Duration> {
        let slot = self.slots.find_mut(hash, |slot| slot.is_named(name))?;
        let SlotState::Leased {
            token: own,
            granted,
        } = slot.state
        else {
            return None;
        };
        if own != token || granted.end() <= now {
            return None;
        }
        self.by_due.remove(&slot.due_key());
        slot.due = now.after(ttl).min(granted.end()).max(slot.due);
        self.by_due.insert(slot.due_key());
        slot.namespace.tally.add(Count::LeasesExtended);
        Some(now.until(slot.due))
    }

    /// Puts a lapsed lease back into the table. It is due at once unless the caller extends it.
    pub(crate) fn revive(
        &mut self,
        hash: u64,
        namespace: Arc<NamespaceRecord>,
        name: Name<'_>,
        token: Token,
        permit: Permit,
    ) {
        if let Some(granted) = self.lapsed.forget(hash, name) {
            let state = SlotState::Leased { token, granted };
            self.insert(hash, namespace, name, state, BootTime::default(), permit);
        }
    }

    /// Whether the lease with this token is lapsed.
    pub(crate) fn is_lapsed(&self, hash: u64, name: Name<'_>, token: Token, now: BootTime) -> bool {
        self.lapsed.get(hash, name, token, now).is_some()
    }
}
