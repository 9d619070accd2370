//! The naive reference: maps and lists that are scanned for every question.

mod fences;
mod journals;
mod leases;
mod recent;

use std::{collections::BTreeMap, time::Duration};

use credcache_core::{Count, Lifetime, MissReason, Precondition, PutError};

use crate::{
    clocks::{Clocks, SECOND, nanos},
    figures::Counted,
    names::{self, Name},
    shape::{Shape, TIERS},
};
pub(crate) use fences::{Evidence, Fences, Judgement, Revocation};
pub(crate) use journals::{Believed, Journals};
pub(crate) use leases::{Grant, Joined, LeaseEnd, LeaseTable, Query};
pub(crate) use recent::Known;

#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) version: u64,
    pub(crate) value: Vec<u8>,
    pub(crate) tags: Vec<usize>,
    pub(crate) tier: usize,
    pub(crate) wall_end: u64,
    pub(crate) boot_end: u64,
    /// How long before its end the credential is due for refresh, in nanoseconds: the least and the
    /// most.
    pub(crate) lead: (u64, u64),
    /// An invalidation in progress covers the credential but hasn't reached it. A plain Get may hit
    /// it; a decision treats it as removed.
    pub(crate) covered: bool,
}

pub(crate) struct Reference {
    pub(crate) held: BTreeMap<Name, Held>,
    pub(crate) revision: u64,
    pub(crate) fences: Fences,
    pub(crate) leases: LeaseTable,
    pub(crate) journals: Journals,
    pub(crate) counted: Counted,
    /// By tier.
    pub(crate) hits: [u64; TIERS.len()],
    /// The names whose last credential was removed by an invalidation, with the number of
    /// revocations before it.
    revoked: BTreeMap<Name, u64>,
    revoked_so_far: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Selection {
    Key(usize),
    Prefix(&'static str),
    Tag(usize),
    All,
}

/// Whether a miss reports that the credential was revoked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaysRevoked {
    Yes,
    /// So many credentials were revoked since that the tombstone may be forgotten.
    Maybe,
    No,
}

/// How many revocations a tombstone certainly survives: all later revocations may belong to the
/// same stripe.
const REMEMBERED: u64 = 255;

impl Selection {
    pub(crate) fn matches(&self, key: usize, tags: &[usize]) -> bool {
        match self {
            Self::Key(sought) => key == *sought,
            Self::Prefix(prefix) => names::key(key).starts_with(prefix),
            Self::Tag(tag) => tags.contains(tag),
            Self::All => true,
        }
    }

    /// Whether both are the same target.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(one), Self::Key(other)) | (Self::Tag(one), Self::Tag(other)) => one == other,
            (Self::Prefix(one), Self::Prefix(other)) => one == other,
            (Self::All, Self::All) => true,
            _ => false,
        }
    }
}

impl Held {
    pub(crate) fn left(&self, clocks: Clocks) -> u64 {
        let wall = self.wall_end.saturating_sub(clocks.wall);
        wall.min(self.boot_end.saturating_sub(clocks.boot))
    }

    pub(crate) fn is_live(&self, clocks: Clocks) -> bool {
        self.left(clocks) > 0
    }
}

impl Reference {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self {
            held: BTreeMap::new(),
            revision: 0,
            fences: Fences::new(shape.revocations()),
            leases: LeaseTable::new(shape.limits, shape.remembered()),
            journals: Journals::new(shape.journal()),
            counted: Counted::default(),
            hits: [0; TIERS.len()],
            revoked: BTreeMap::new(),
            revoked_so_far: 0,
        }
    }

    /// Looks up what a name holds, without regard to leases and tombstones.
    pub(crate) fn look(
        &self,
        name: Name,
        min_ttl: u64,
        clocks: Clocks,
    ) -> Result<&Held, MissReason> {
        match self.held.get(&name) {
            None => Err(MissReason::NotFound),
            Some(held) if !held.is_live(clocks) => Err(MissReason::Expired),
            Some(held) if held.left(clocks) < min_ttl => Err(MissReason::TtlTooShort),
            Some(held) => Ok(held),
        }
    }

    pub(crate) fn check(
        held: Option<&Held>,
        precondition: Option<Precondition>,
        clocks: Clocks,
    ) -> Result<(), PutError> {
        let live = held.filter(|held| held.is_live(clocks));
        match (precondition, live) {
            (Some(Precondition::Absent), Some(_)) => Err(PutError::Exists),
            (Some(Precondition::Version(version)), live)
                if live.is_none_or(|held| held.version != version.number()) =>
            {
                Err(PutError::VersionDiffers)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn store(&mut self, name: Name, held: Held) -> Option<Held> {
        self.revoked.remove(&name);
        self.journals.put(name, held.version, &held.tags);
        self.held.insert(name, held)
    }

    /// Marks matching credentials as covered.
    pub(crate) fn cover(&mut self, namespace: usize, selection: &Selection) {
        for (name, held) in &mut self.held {
            held.covered |= name.namespace == namespace && selection.matches(name.key, &held.tags);
        }
    }

    /// Removes covered credentials. Returns how many were live and how many weren't.
    pub(crate) fn remove_covered(&mut self, clocks: Clocks) -> (u64, u64) {
        let (mut live, mut ended) = (0, 0);
        let before = self.revoked_so_far;
        self.held.retain(|name, held| {
            if held.covered && held.is_live(clocks) {
                live += 1;
                self.revoked.insert(*name, before);
            } else if held.covered {
                ended += 1;
            }
            !held.covered
        });
        self.revoked_so_far += live;
        (live, ended)
    }

    /// Removes a name's credential on behalf of the invalidation that covers it.
    pub(crate) fn remove_claimed(&mut self, name: Name, is_live: bool) {
        self.held.remove(&name);
        if is_live {
            self.revoked.insert(name, self.revoked_so_far);
            self.revoked_so_far += 1;
        }
    }

    pub(crate) fn says_revoked(&self, name: Name) -> SaysRevoked {
        match self.revoked.get(&name) {
            Some(before) if self.revoked_so_far - before <= REMEMBERED => SaysRevoked::Yes,
            Some(_) => SaysRevoked::Maybe,
            None => SaysRevoked::No,
        }
    }

    /// Removes expired credentials, and returns their number.
    pub(crate) fn reclaim(&mut self, clocks: Clocks) -> u64 {
        let before = self.held.len();
        self.held.retain(|_, held| held.is_live(clocks));
        (before - self.held.len()) as u64
    }

    pub(crate) fn count_miss(&mut self, reason: MissReason) {
        self.counted.add(match reason {
            MissReason::NotFound => Count::NotFound,
            MissReason::Expired => Count::Expired,
            MissReason::Revoked => Count::Revoked,
            MissReason::TtlTooShort => Count::TtlTooShort,
            MissReason::Pending => Count::Pending,
        });
    }
}

/// The lifetime as it will be stored, in nanoseconds, and the tier.
pub(crate) fn route(
    lifetime: Lifetime,
    tier: Option<usize>,
    tiers: usize,
    clocks: Clocks,
) -> Option<(u64, usize)> {
    let asked = match lifetime {
        Lifetime::For(duration) => nanos(duration),
        Lifetime::Until(wall) => nanos(wall.since_unix()).saturating_sub(clocks.wall),
    };
    if asked == 0 {
        return None;
    }
    let covering = TIERS[..tiers]
        .iter()
        .position(|(_, max_ttl)| nanos(*max_ttl) >= asked);
    let tier = tier.or(covering).unwrap_or(tiers - 1);
    Some((asked.min(nanos(TIERS[tier].1)), tier))
}

/// How long before its end a credential with this lifetime is due for refresh: the least and the
/// most. The model doesn't know the jitter.
pub(crate) fn lead(lifetime: u64, asked: Option<Duration>) -> (u64, u64) {
    const MINUTE: u64 = 60 * SECOND;
    if let Some(asked) = asked {
        let asked = nanos(asked).min(lifetime);
        return (asked, asked);
    }
    let by_lifetime = match lifetime {
        _ if lifetime <= 20 * MINUTE => 5 * MINUTE,
        _ if lifetime < 90 * MINUTE => 15 * MINUTE,
        _ => 60 * MINUTE,
    };
    let least = by_lifetime.min(lifetime * 10 / 22);
    (least, (least + least / 10).min(lifetime / 2))
}
