//! What a holder may do with its lease, and until when.
//!
//! A lease is the key's current one from when it is granted until it is ended
//! or somebody else is granted the key's lease. So it outlives its time: while
//! nobody else is asked to fetch, the holder's fetch is the one to wait for.

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
    /// Whether any lease is remembered that ran out.
    pub(crate) fn has_lapsed(&self) -> bool {
        !self.lapsed.is_empty()
    }

    /// The latest revision when the lease with this token was granted, if it is
    /// the key's current one.
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
            None => self.lapsed.of(hash, name, token, now)?,
        };
        (now < granted.end()).then_some(granted.revision)
    }

    /// The key's current lease is filled.
    pub(crate) fn fill(&mut self, hash: u64, name: Name<'_>, tally: &Tally) -> Wakers {
        if self.lapsed.forget(hash, name).is_some() {
            tally.add(Count::LeasesFilled);
        }
        self.end(hash, name, Count::LeasesFilled, LeaseEnd::Filled)
    }

    /// The key was put without its lease, which ends by that: what its holder
    /// fetches is older. A cool-down goes on.
    pub(crate) fn supersede(&mut self, hash: u64, name: Name<'_>) -> Wakers {
        match self.find(hash, name).map(|slot| &slot.state) {
            Some(SlotState::CoolDown) => Wakers::default(),
            Some(SlotState::Leased { .. }) | None => {
                self.end(hash, name, Count::LeasesSuperseded, LeaseEnd::Filled)
            }
        }
    }

    /// Lets a lease that hasn't run out last for `ttl` from now, within its
    /// longest time, and answers with how long it does. Its end is never moved
    /// to an earlier time.
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
        self.by_due.remove(&slot.entry());
        slot.due = now.after(ttl).min(granted.end()).max(slot.due);
        self.by_due.insert(slot.entry());
        slot.namespace.tally.add(Count::LeasesExtended);
        Some(now.until(slot.due))
    }

    /// Takes a lease up again that ran out and is current still. It is over,
    /// until it is extended.
    pub(crate) fn take_up(
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

    /// Whether this lease ran out, with nobody to take the next.
    pub(crate) fn ran_out(&self, hash: u64, name: Name<'_>, token: Token, now: BootTime) -> bool {
        self.lapsed.of(hash, name, token, now).is_some()
    }
}
