//! The domain of credcache: an in-memory cache of credentials with exact lifetimes, on
//! size-bounded tiers.
//!
//! # Guarantees
//!
//! - A Get never returns a credential once the wall clock or the boot-time clock has reached its
//!   deadline, never one that was invalidated before, and never that of another name.
//! - A Put never brings back a credential that was invalidated after its lease was granted, or after
//!   the time of issue that the Put states.
//! - A key has at most one live credential in all tiers, and at most one lease.
//!
//! # Rules
//!
//! The crate is synchronous and pure. It reads no clock, no environment variable and no socket, and
//! it starts no thread. The caller passes in random lease tokens, and `now` as a [`Now`] or as a
//! function that returns one. Such a function is called after the entry was found and the last lock
//! was taken, so that waiting can't make a reading stale. No method blocks except for short locks.
//! [`Waiting`] and [`Watcher`] register wakers, and work with any async runtime.
//!
//! # The methods of `Cache`
//!
//! | Look up | |
//! |---|---|
//! | [`get`](Cache::get) | looks up one credential |
//! | [`get_each`](Cache::get_each) | looks up several credentials with one reading of the clocks |
//! | [`hit`](Cache::hit) | looks up a credential before a `get_or_lease`, and counts only a hit |
//! | [`get_as_holder`](Cache::get_as_holder) | looks up a credential for the holder of its lease |
//! | [`remaining`](Cache::remaining) | the remaining lifetime of one version of a credential, uncounted |
//! | [`batch_get`](Cache::batch_get) | reads a batch in place, to be judged by [`BatchRead::judge`] |
//!
//! | Store | |
//! |---|---|
//! | [`put`](Cache::put) | stores a credential, and fills the lease under which it was fetched |
//!
//! | Invalidate | |
//! |---|---|
//! | [`invalidate`](Cache::invalidate) | removes a key, a prefix, a tag or a namespace, and refuses stale fills |
//! | [`begin_invalidation`](Cache::begin_invalidation) | begins an invalidation, as a [`Sweep`] in steps |
//! | [`invalidations`](Cache::invalidations) | how many invalidations have begun |
//!
//! | Leases | |
//! |---|---|
//! | [`get_or_lease`](Cache::get_or_lease) | looks up a credential, and grants its lease or waits for the holder |
//! | [`extend_lease`](Cache::extend_lease) | gives the holder more time |
//! | [`abandon_lease`](Cache::abandon_lease) | ends a lease without a fill, with an optional cool-down |
//!
//! | Watch | |
//! |---|---|
//! | [`watch`](Cache::watch) | returns a [`Watcher`], which reads the changes of a namespace |
//!
//! | Long work | |
//! |---|---|
//! | [`reclaim`](Cache::reclaim) | frees the memory of expired entries, and ends due leases |
//! | [`begin_reclaim`](Cache::begin_reclaim) | begins a round of reclaiming, as a [`Reclaim`] in steps |
//!
//! | Configuration and figures | |
//! |---|---|
//! | [`new`](Cache::new) | creates a cache from its tiers and [`Limits`] |
//! | [`limits`](Cache::limits) | the limits of the cache |
//! | [`tiers`](Cache::tiers) | all tiers |
//! | [`tier`](Cache::tier) | finds a tier by name |
//! | [`tier_spec`](Cache::tier_spec) | the configuration of a tier |
//! | [`counts`](Cache::counts) | the counters of a namespace, or of all |
//! | [`revision`](Cache::revision) | the revision of the latest change |
//! | [`namespaces`](Cache::namespaces) | the number of known namespaces |
//!
//! A typical caller calls `get_or_lease`. If it is granted the lease, it fetches the credential and
//! calls `put` with the lease's token. In the background, it calls `reclaim` regularly.
//!
//! # How the parts work together
//!
//! - Names are divided among stripes by their hash. Every change to a name holds the lock of its
//!   stripe. A Get takes no stripe lock unless it misses.
//! - A tier holds an entry only if the index of its stripe holds the entry. An entry that a tier
//!   evicted leaves the index a moment later.
//! - Each change takes its revision in the change log, in one step with the fences that refuse
//!   stale fills.
//!
//! # Lock order
//!
//! 1. the registry of namespaces
//! 2. a stripe
//! 3. one of: a shard of the change log, a tier's state for a shard, a waiter's notification
//! 4. a shard of quick_cache
//!
//! A thread never holds two locks of one kind. It drops, and zeroes, values and wakes tasks only
//! while it holds none.

mod btree;
mod cache;
mod change_log;
mod counters;
mod index;
mod leases;
mod model;
mod permits;
mod store;
mod sync;
mod work;

pub use cache::{
    Cache, TierError,
    batch_get::{BatchGet, BatchRead, MAX_IN_PLACE, Reader, Verdict},
    get::{Hit, Lookup, Miss, MissReason, SharedValue, WhenDue},
    invalidate::{MAX_CLOCK_AHEAD, MIN_FENCE_MEMORY},
    lease::{
        LeaseAnswer, LeaseError, LeaseLost, LeaseQuery,
        holding::{ExtendError, MAX_COOL_DOWN},
        waiting::Waiting,
    },
    put::{Precondition, Put, PutError},
    reclaim::Reclaim,
    smallest_capacity,
    sweep::Sweep,
    watch::{TooManyWatchers, WatchEvent, Watcher},
};
pub use change_log::journal::{Change, WatchFrom};
pub use counters::{Count, Counts, TierCount};
pub use leases::{
    token::{Lease, LeaseRequest, MAX_LEASE, Token},
    waiter::Woken,
};
pub use model::{
    attributes::{ATTRIBUTES_FIELD, Attributes, AttributesRef},
    contents::Contents,
    invalidation::{Invalidate, Invalidation, OwnedTarget, Target},
    limits::{
        Limits, MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES, MAX_TAGS, MAX_TIERS, MAX_VALUE_LIMIT, TooMany,
        ValueTooLarge,
    },
    name::{Key, KeyPrefix, MAX_KEY, MAX_NAMESPACE, MAX_TAG, Name, NameError, NamespaceName, Tag},
    outcome::{Invalidated, Stored},
    revision::Revision,
    secret::Secret,
    tags::Tags,
    tier_spec::{TierId, TierSpec},
    time::{BootTime, Lifetime, Now, WallTime},
};
pub use store::{
    entry::{ENTRY_OVERHEAD, EntryView},
    labels::TAG_OVERHEAD,
};
