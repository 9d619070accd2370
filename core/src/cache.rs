//! [`Cache`]: its parts, its construction, and one file for each group of its operations.

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

/// A cache of credentials with exact lifetimes. The [crate documentation](crate) lists the methods
/// and the guarantees.
///
/// All methods take `&self` and may be called from any number of threads.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use credcache_core::{
///     Attributes, Cache, Contents, Key, Lifetime, Limits, Name, NamespaceName, Now, Put, Tags,
///     TierSpec,
/// };
///
/// let hour = TierSpec {
///     name: "hour".to_owned(),
///     max_ttl: Duration::from_secs(3600),
///     capacity: 64 * 1024 * 1024,
/// };
/// let cache = Cache::new(vec![hour], Limits::DEFAULT)?;
/// let name = Name {
///     namespace: NamespaceName::parse("billing")?,
///     key: Key::parse("db/reader")?,
/// };
/// let now = Now::default(); // The caller reads both clocks.
///
/// let put = Put {
///     name,
///     contents: Contents {
///         value: cache.limits().value(b"hunter2")?,
///         tags: Tags::default(),
///         attributes: Attributes::default(),
///     },
///     lifetime: Lifetime::For(Duration::from_secs(600)),
///     refresh_before: None,
///     tier: None,
///     issued_at: None,
///     lease: None,
///     precondition: None,
/// };
/// let stored = cache.put(put, now)?;
///
/// let hit = cache.get(name, Duration::ZERO, || now).hit().expect("live");
/// assert_eq!(hit.view().value(), b"hunter2");
/// assert_eq!(hit.view().version(), stored.version);
/// assert_eq!(hit.ttl(), Duration::from_secs(600));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cache {
    /// Shortest `max_ttl` first.
    tiers: Box<[Tier]>,
    tier_hints: TierHints,
    stripes: Box<[Stripe]>,
    change_log: ChangeLog,
    namespaces: Namespaces,
    /// Permits of keys that have a lease or are in a cool-down.
    lease_permits: Permits,
    /// Permits of Gets that wait for a lease.
    waiter_permits: Permits,
    watcher_permits: Permits,
    hasher: HashState,
    limits: Limits,
}

/// Why a tier configuration was rejected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TierError {
    /// There are no tiers, or more than [`MAX_TIERS`].
    #[error("there must be 1 to {MAX_TIERS} tiers")]
    Count,
    /// Two tiers have the same name.
    #[error("another tier has the same name")]
    DuplicateName {
        /// The index of the second of these tiers in the configuration.
        index: usize,
    },
    /// The capacity has no room for enough of the largest credentials.
    #[error("capacity must be at least {least} bytes")]
    CapacityTooSmall {
        /// The index of the tier in the configuration.
        index: usize,
        /// The smallest valid capacity, in bytes.
        least: u64,
    },
}

impl Cache {
    /// Creates an empty cache with these tiers, in any order.
    ///
    /// # Errors
    /// [`TierError`] for the first tier that is invalid.
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

    /// The counters of one namespace, or the sums over all namespaces. A namespace without a record
    /// has counted nothing.
    pub fn counts(&self, namespace: Option<NamespaceName<'_>>) -> Counts {
        self.namespaces.counts(namespace)
    }

    /// The tiers, shortest `max_ttl` first.
    pub fn tiers(&self) -> impl ExactSizeIterator<Item = (TierId, &TierSpec)> {
        self.tiers.iter().map(|tier| (tier.id, &tier.spec))
    }

    /// The tier with this name, if there is one.
    pub fn tier(&self, name: &str) -> Option<TierId> {
        self.tiers
            .iter()
            .find(|tier| tier.spec.name == name)
            .map(|tier| tier.id)
    }

    /// The configuration of a tier of this cache.
    #[must_use]
    pub fn tier_spec(&self, tier: TierId) -> &TierSpec {
        &self.tiers[tier.index()].spec
    }

    /// The revision of the latest change; 0 before the first.
    pub fn revision(&self) -> u64 {
        self.change_log.latest()
    }

    /// The number of namespaces that the cache has a record of, which includes all namespaces that
    /// hold a credential.
    pub fn namespaces(&self) -> usize {
        self.namespaces.len()
    }

    /// The limits that the cache was created with.
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

    /// Uses bits of the hash that quick_cache and its tables don't use.
    fn stripe(&self, hash: u64) -> &Stripe {
        &self.stripes[(hash >> 48) as usize % STRIPES]
    }
}

/// The smallest valid capacity of a tier, in bytes, if values have up to `max_value` bytes.
#[must_use]
pub fn smallest_capacity(max_value: u64) -> u64 {
    tier::smallest_capacity(largest_entry(max_value))
}

/// The greatest weight of an entry, in bytes, including labels that it shares with no other entry.
pub(crate) fn largest_entry(max_value: u64) -> u64 {
    // The length of the attributes follows them.
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
