//! The parts that all lookups have in common.

use std::collections::BTreeSet;

use credcache_core::{Hit, Miss, MissReason};

use super::Episode;
use crate::{
    clocks::{SECOND, nanos},
    names::{Name, TAGS},
    reference::SaysRevoked,
    seen::Event,
};

impl Episode<'_> {
    /// Most often little or nothing. Otherwise any length, the remaining lifetime, or slightly
    /// more.
    pub(super) fn min_ttl(&mut self, name: Name) -> u64 {
        let held = self.reference.held.get(&name);
        match (self.draw.rng.u8(0..8), held) {
            (0, _) => self.draw.length(),
            (1, Some(held)) => held.left(self.clocks) + self.draw.rng.u64(0..2),
            _ => 0,
        }
    }

    /// Checks that a hit is exactly what the reference holds. Returns whether it is due for
    /// refresh.
    pub(super) fn check_hit(&mut self, name: Name, min_ttl: u64, hit: &Hit) -> bool {
        let expected = self.reference.look(name, min_ttl, self.clocks);
        assert!(expected.is_ok(), "wrong hit: {expected:?}");
        let held = self.reference.held.get_mut(&name).expect("it is a hit");
        let left = held.left(self.clocks);
        let expires_at = nanos(hit.view().expires_at().since_unix());
        assert_eq!(hit.value().as_ref(), held.value);
        assert_eq!(hit.view().version().number(), held.version);
        assert_eq!(hit.view().tier().index(), held.tier);
        let tags: BTreeSet<_> = held.tags.iter().map(|tag| TAGS[*tag]).collect();
        assert!(hit.view().tags().iter().eq(tags), "other tags");
        assert_eq!(nanos(hit.ttl()), left);
        assert!(expires_at <= held.wall_end, "lengthened");
        let latest = self.clocks.wall + left + SECOND / 1000;
        assert!(expires_at <= latest, "lengthened");
        let lead = expires_at - nanos(hit.view().refresh_at().since_unix());
        let (least, most) = held.lead;
        assert!((least..=most).contains(&lead), "refresh at another time");
        held.lead = (lead, lead);
        let is_due = left <= lead;
        assert_eq!(hit.is_due(), is_due);
        self.seen
            .add(if is_due { Event::HitDue } else { Event::Hit });
        is_due
    }

    pub(super) fn count_hit(&mut self, tier: usize) {
        self.reference.hits[tier] += 1;
    }

    /// Checks the reason of a miss that no lease explains.
    pub(super) fn check_reason(&mut self, name: Name, min_ttl: u64, reason: MissReason) {
        let expected = self.reference.look(name, min_ttl, self.clocks).err();
        let finds_nothing = matches!(reason, MissReason::NotFound | MissReason::Revoked);
        if finds_nothing && expected != Some(MissReason::NotFound) {
            assert_eq!(reason, MissReason::NotFound, "but it is held");
            self.account_missing(name);
        } else if finds_nothing {
            let says = self.reference.says_revoked(name);
            match reason {
                MissReason::Revoked => assert!(says != SaysRevoked::No, "nothing was revoked"),
                // In a tight cache, the credential may have been evicted before the invalidation.
                _ => assert!(
                    says != SaysRevoked::Yes || !self.shape.roomy,
                    "it was revoked"
                ),
            }
        } else {
            assert_eq!(Some(reason), expected);
        }
        self.seen.add(match reason {
            MissReason::NotFound => Event::NotFound,
            MissReason::Expired => Event::Expired,
            MissReason::Revoked => Event::Revoked,
            MissReason::TtlTooShort => Event::TooShort,
            MissReason::Pending => unreachable!("another caller has the lease"),
        });
    }

    /// Checks a miss while another caller fetches, whose lease lasts for `left` nanoseconds.
    pub(super) fn check_pending(&mut self, miss: Miss, left: u64) {
        assert_eq!(miss.reason, MissReason::Pending);
        let retry_after = nanos(miss.retry_after.expect("a time"));
        let most = left.min(SECOND);
        assert!(
            most - most / 2 <= retry_after && retry_after <= most,
            "{retry_after} of {most}"
        );
        self.seen.add(Event::Pending);
    }
}
