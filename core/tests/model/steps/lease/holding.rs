//! The operations of a lease's holder besides the fill: extending and abandoning.

use std::time::Duration;

use credcache_core::{
    Count, ExtendError, LeaseAnswer, LeaseLost, LeaseQuery, Lookup, MAX_COOL_DOWN,
};

use super::Episode;
use crate::{
    clocks::nanos,
    names::Name,
    reference::{Evidence, Judgement, Known, LeaseEnd, Reference},
    seen::Event,
};

impl Episode<'_> {
    pub(in crate::steps) fn extend(&mut self) {
        let name = self.held_name();
        let token = self.some_token(name);
        let ttl = self.draw.lease_ttl();
        let now = self.clocks.now();
        let answer = self.cache.extend_lease(name.parsed(), token, ttl, now);

        const LOST: ExtendError = ExtendError::LeaseLost(LeaseLost);
        let boot = self.clocks.boot;
        let known = self.reference.leases.current(name, token, boot);
        let Some(known) = known else {
            assert_eq!(answer, Err(LOST));
            self.seen.add(Event::ExtensionRefused);
            return;
        };
        if !known.is_certain() && answer == Err(LOST) {
            self.account_forgotten(name);
            return;
        }
        let current = known.value();
        let evidence = Evidence {
            granted: Some(current.granted),
            issued_at: None,
        };
        let is_revoked = match self.reference.fences.judge(name, &[], evidence) {
            Judgement::Refused | Judgement::RefusedByAge => true,
            Judgement::Accepted => false,
            Judgement::Either => answer == Err(ExtendError::Revoked),
        };
        if is_revoked {
            assert_eq!(answer, Err(ExtendError::Revoked));
            self.end_lease(name, Count::LeasesRevoked);
            self.seen.add(Event::ExtensionRevoked);
            return;
        }
        let lease = self.reference.leases.lease(name);
        if lease.is_some_and(|(_, due)| due <= boot) {
            self.end_lease(name, Count::LeasesExpired);
        }
        let lapsed = self
            .reference
            .leases
            .lapsed
            .get(name, token, boot)
            .is_some();
        let leases = &mut self.reference.leases;
        let is_still_its_own = leases.current(name, token, boot).is_some();
        if !is_still_its_own || !leases.revive(name, current) {
            assert_eq!(answer, Err(LOST));
            self.seen.add(Event::ExtendedTooLate);
            return;
        }
        let slot = leases.by_name.get_mut(&name).expect("it is there");
        let ttl = nanos(ttl.unwrap_or(self.shape.limits.lease_ttl));
        let due = (boot + ttl).min(current.end);
        let event = match () {
            () if lapsed => Event::Revived,
            () if due < slot.due => Event::LastsLonger,
            () if due == current.end => Event::ExtendedToTheEnd,
            () => Event::Extended,
        };
        slot.due = slot.due.max(due);
        let left = Duration::from_nanos(slot.due - boot);
        assert_eq!(answer, Ok(left));
        self.reference.counted.add(Count::LeasesExtended);
        self.seen.add(event);
    }

    /// The cache doesn't revive a lapsed lease although there is room, so it has forgotten the
    /// lease.
    fn account_forgotten(&mut self, name: Name) {
        if self.reference.leases.has_room() {
            self.reference.leases.lapsed.forget(name);
            self.seen.add(Event::LapsedForgotten);
        }
    }

    fn end_lease(&mut self, name: Name, why: Count) {
        let over = LeaseEnd::PassOn(self.grant());
        let Reference {
            leases, counted, ..
        } = &mut self.reference;
        leases.end(name, why, over, counted);
    }

    pub(in crate::steps) fn abandon(&mut self) {
        let name = self.held_name();
        let token = self.some_token(name);
        let retry_after = match self.draw.rng.u8(0..8) {
            0..4 => 0,
            4..7 => self.draw.length(),
            _ => self.draw.rng.u64(1..nanos(MAX_COOL_DOWN)),
        };
        let now = self.clocks.now();
        let after = Duration::from_nanos(retry_after);
        let answer = self.cache.abandon_lease(name.parsed(), token, after, now);

        let boot = self.clocks.boot;
        let leases = &mut self.reference.leases;
        let is_done = match leases.current(name, token, boot) {
            None => false,
            Some(Known::Maybe(_)) if answer.is_err() => {
                self.account_forgotten(name);
                false
            }
            Some(known) => leases.revive(name, known.value()),
        };
        assert_eq!(answer.is_ok(), is_done, "{answer:?}");
        if !is_done {
            self.seen.add(Event::AbandonRefused);
            return;
        }
        self.seen.add(Event::Abandoned);
        let over = match retry_after {
            0 => LeaseEnd::PassOn(self.grant()),
            _ => LeaseEnd::CoolDown(self.cool_down(name, retry_after)),
        };
        let Reference {
            leases, counted, ..
        } = &mut self.reference;
        leases.end(name, Count::LeasesAbandoned, over, counted);
    }

    /// The end of the cool-down that has just begun. The model doesn't know the jitter, so it
    /// queries the cache with an impossible `min_ttl`.
    fn cool_down(&mut self, name: Name, retry_after: u64) -> u64 {
        let ask = LeaseQuery {
            min_ttl: Duration::MAX,
            lease: None,
            wait: true,
        };
        let now = || self.clocks.now();
        let Ok(LeaseAnswer::Ready(Lookup::Miss(miss), None)) =
            self.cache.get_or_lease(name.parsed(), ask, now)
        else {
            panic!("the key is in a cool-down");
        };
        self.reference.count_miss(miss.reason);
        self.check_reason(name, u64::MAX, miss.reason);
        let left = nanos(miss.retry_after.expect("the key is in a cool-down"));
        let least = retry_after.min(nanos(MAX_COOL_DOWN * 10 / 11));
        assert!(least <= left && left <= least + least / 10, "{left}");
        self.clocks.boot + left
    }
}
