//! The cache: what it is made of, and one file for each thing that it does.

pub(crate) mod batch_get;
pub(crate) mod get;
pub(crate) mod invalidate;
pub(crate) mod lease;
pub(crate) mod put;
pub(crate) mod reclaim;
mod remove;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
pub(crate) mod watch;

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
};

use thiserror::Error;

use crate::{
    change_log::log::ChangeLog,
    counters::Counts,
    index::stripe::Stripe,
    model::{
        attributes::MAX_ENCODED,
        limits::{Limits, MAX_TAGS, MAX_TIERS},
        name::{MAX_KEY, MAX_TAG, NamespaceName},
        tier_spec::{TierId, TierSpec},
    },
    permits::Permits,
    store::{
        entry::{self, LookupKey, hash_key, hash_namespace},
        labels::{self, SharedBytes, TAG_OVERHEAD},
        namespaces::Namespaces,
        tier::{self, Tier, keys::NameHashes},
        tier_hints::TierHints,
    },
    sync::{HashState, STRIPES},
};

/// A cache of credentials. See the module documentation for what it promises.
pub struct Cache {
    /// Shortest `max_ttl` first.
    tiers: Box<[Tier]>,
    tier_hints: TierHints,
    stripes: Box<[Stripe]>,
    change_log: ChangeLog,
    namespaces: Namespaces,
    /// Of keys with a lease or in a cool-down.
    lease_permits: Permits,
    /// Of those who wait for a lease.
    waiter_permits: Permits,
    watcher_permits: Permits,
    hasher: HashState,
    limits: Limits,
}

/// Why a set of tiers can't be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TierError {
    /// None, or more than [`MAX_TIERS`].
    #[error("there must be 1 to {MAX_TIERS} tiers")]
    Count,
    /// Two of one name.
    #[error("there is already a tier of this name")]
    DuplicateName {
        /// Which tier, in the given order.
        index: usize,
    },
    /// Too small for a number of the largest credentials.
    #[error("capacity must be at least {least} bytes")]
    CapacityTooSmall {
        /// Which tier, in the given order.
        index: usize,
        /// What would do.
        least: u64,
    },
}

impl Cache {
    /// A cache with these tiers.
    ///
    /// # Errors
    /// The first tier that can't be, and why.
    pub fn new(mut specs: Vec<TierSpec>, limits: Limits) -> Result<Self, TierError> {
        if !(1..=MAX_TIERS).contains(&specs.len()) {
            return Err(TierError::Count);
        }
        for (index, spec) in specs.iter().enumerate() {
            if specs[..index]
                .iter()
                .any(|earlier| earlier.name == spec.name)
            {
                return Err(TierError::DuplicateName { index });
            }
            let least = smallest_capacity(limits.max_value);
            if spec.capacity < least {
                return Err(TierError::CapacityTooSmall { index, least });
            }
        }
        specs.sort_by_key(|spec| spec.max_ttl);
        let shared_bytes = SharedBytes::new(specs.len());
        let hasher = HashState::default();
        let hashes = NameHashes(hasher.clone());
        let capacity = specs
            .iter()
            .fold(0_u64, |sum, spec| sum.saturating_add(spec.capacity));
        Ok(Self {
            tier_hints: TierHints::new(specs.len(), capacity),
            namespaces: Namespaces::new(limits.max_namespaces, specs.len()),
            tiers: (0..)
                .map(TierId::new)
                .zip(specs)
                .map(|(id, spec)| {
                    let largest = largest_entry(limits.max_value);
                    Tier::new(id, spec, largest, hashes.clone(), shared_bytes.clone())
                })
                .collect(),
            stripes: (0..STRIPES)
                .map(|_| Stripe::new(shared_bytes.clone(), limits.max_leases as usize / STRIPES))
                .collect(),
            change_log: ChangeLog::new(&limits),
            lease_permits: Permits::new(limits.max_leases),
            waiter_permits: Permits::new(limits.max_waiters),
            watcher_permits: Permits::new(limits.max_watchers),
            hasher,
            limits,
        })
    }

    /// The counters, of one namespace or of all.
    pub fn counts(&self, namespace: Option<NamespaceName<'_>>) -> Counts {
        self.namespaces.counts(namespace)
    }

    /// The tiers, shortest `max_ttl` first.
    pub fn tiers(&self) -> impl ExactSizeIterator<Item = (TierId, &TierSpec)> {
        self.tiers.iter().map(|tier| (tier.id, &tier.spec))
    }

    /// The tier of this name.
    pub fn tier(&self, name: &str) -> Option<TierId> {
        self.tiers
            .iter()
            .find(|tier| tier.spec.name == name)
            .map(|tier| tier.id)
    }

    /// How a tier of this cache is configured.
    #[must_use]
    pub fn tier_spec(&self, tier: TierId) -> &TierSpec {
        &self.tiers[tier.index()].spec
    }

    /// The number of the latest change; 0 before the first.
    pub fn revision(&self) -> u64 {
        self.change_log.latest()
    }

    /// How many namespaces there is a record of.
    pub fn namespaces(&self) -> usize {
        self.namespaces.len()
    }

    /// What the cache is bounded by.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn hash<'a>(&self, name: impl Into<LookupKey<'a>>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let name = name.into();
        hash_namespace(&mut hasher, name.namespace);
        hash_key(&mut hasher, name.key);
        hasher.finish()
    }

    /// By bits of the hash that quick_cache and its tables don't use.
    fn stripe(&self, hash: u64) -> &Stripe {
        &self.stripes[(hash >> 48) as usize % STRIPES]
    }
}

/// The smallest capacity, in bytes, that a tier can have beside this limit on
/// values.
#[must_use]
pub fn smallest_capacity(max_value: u64) -> u64 {
    tier::smallest_capacity(largest_entry(max_value))
}

/// The most that an entry can take, with what it shares with no other.
pub(crate) fn largest_entry(max_value: u64) -> u64 {
    // Attributes are followed by their length.
    let secret = max_value + (MAX_ENCODED + size_of::<u16>()) as u64;
    let shared = labels::largest_weight(MAX_TAGS, MAX_TAG);
    entry::weight(MAX_KEY, secret) + (MAX_TAGS * TAG_OVERHEAD) as u64 + shared
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}
