//! Lookups without leases.

use std::time::Duration;

use credcache_core::{Lookup, Miss, MissReason, WhenDue};

use super::Episode;
use crate::names::Name;

impl Episode<'_> {
    pub(super) fn get(&mut self) {
        let name = self.draw.name();
        let min_ttl = self.min_ttl(name);
        let least = Duration::from_nanos(min_ttl);
        let answer = self.cache.get(name.parsed(), least, || self.clocks.now());
        match answer {
            Lookup::Hit(hit) => {
                self.check_hit(name, min_ttl, &hit);
                self.count_hit(hit.view().tier().index());
            }
            Lookup::Miss(miss) => self.check_miss(name, min_ttl, miss),
        }
    }

    /// Checks the miss of a caller that requests no lease, which was counted.
    pub(super) fn check_miss(&mut self, name: Name, min_ttl: u64, miss: Miss) {
        self.reference.count_miss(miss.reason);
        let lease = self.reference.leases.lease(name);
        let left = lease.and_then(|(_, due)| due.checked_sub(self.clocks.boot));
        let left = left.filter(|left| *left > 0);
        if let (MissReason::Pending, Some(left)) = (miss.reason, left) {
            if self.reference.held.contains_key(&name) {
                self.account_missing(name);
            }
            self.check_pending(miss, left);
            return;
        }
        assert_eq!(miss.retry_after, None);
        self.check_reason(name, min_ttl, miss.reason);
        let held = self.reference.held.contains_key(&name);
        assert!(held || left.is_none(), "another caller fetches it");
    }

    /// A lookup before a query for a lease, with or without refreshing.
    pub(super) fn hit(&mut self) {
        let name = self.draw.name();
        let min_ttl = self.min_ttl(name);
        let least = Duration::from_nanos(min_ttl);
        let would_refresh = self.draw.rng.bool();
        let now = || self.clocks.now();
        let when_due = match would_refresh {
            true => WhenDue::Decline,
            false => WhenDue::Return,
        };
        let hit = self.cache.hit(name.parsed(), least, when_due, now);
        if let Some(hit) = hit {
            let is_due = self.check_hit(name, min_ttl, &hit);
            assert!(!(would_refresh && is_due), "it should be refreshed");
            self.count_hit(hit.view().tier().index());
        } else if let Ok(held) = self.reference.look(name, min_ttl, self.clocks) {
            let (_, latest) = held.lead;
            if !would_refresh || held.left(self.clocks) > latest {
                self.account_missing(name);
            }
        }
    }

    pub(super) fn get_as_holder(&mut self) {
        let name = self.leased_name();
        let min_ttl = self.min_ttl(name);
        let least = Duration::from_nanos(min_ttl);
        let now = || self.clocks.now();
        let answer = self.cache.get_as_holder(name.parsed(), least, now);
        self.claim(name);
        match answer {
            Lookup::Hit(hit) => {
                self.check_hit(name, min_ttl, &hit);
                self.count_hit(hit.view().tier().index());
            }
            Lookup::Miss(miss) => {
                self.reference.count_miss(miss.reason);
                assert_ne!(
                    miss.reason,
                    MissReason::Pending,
                    "the caller holds the lease"
                );
                assert_eq!(miss.retry_after, None);
                self.check_reason(name, min_ttl, miss.reason);
            }
        }
    }
}
