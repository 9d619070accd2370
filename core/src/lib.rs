//! The domain: credentials with exact lifetimes on size-bounded tiers.
//!
//! Synchronous and pure: every method takes `now`, nothing here reads a clock,
//! the environment or a socket. Guarantees that a Get never returns a
//! credential past its deadline, one invalidated before, or another name's;
//! that no fill brings back what was invalidated since it began; and that a key
//! is live in at most one tier, and has at most one lease.
//!
//! How the parts hold together:
//! - A name belongs to one of `STRIPES` stripes. Whatever changes a name holds
//!   its stripe's lock; Gets take none of them.
//! - A tier holds an entry only if the stripe's index holds it. An entry that a
//!   tier pushed out leaves the index a moment later.
//! - Each change takes its revision in the change log, in one step with the fences
//!   against stale fills.
//! - Locks are taken in one order: namespace registry, stripe, then change log or
//!   what a tier knows of a shard, and quick_cache shard; and never two of one
//!   kind.

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
    get::{Hit, Lookup, Miss, MissReason, SharedValue},
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
pub use store::{entry::ENTRY_OVERHEAD, entry_view::EntryView, labels::TAG_OVERHEAD};
