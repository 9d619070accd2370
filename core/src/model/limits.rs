//! The limits of a cache besides the capacity of its tiers.

use std::time::Duration;

use thiserror::Error;

use crate::model::secret::Secret;

/// The largest `max_value` that [`Limits`] may have, in bytes. A gRPC message of 4 MiB must always
/// have room for a value with its tags and attributes.
pub const MAX_VALUE_LIMIT: u64 = 1024 * 1024;

/// The most tags that a credential may have.
pub const MAX_TAGS: usize = 16;
/// The most attributes that a credential may have.
pub const MAX_ATTRIBUTES: usize = 16;
/// The most bytes that the attributes of a credential may have in total.
pub const MAX_ATTRIBUTE_BYTES: usize = 4096;
/// The most tiers that a cache may have.
pub const MAX_TIERS: usize = 16;

/// The limits of a cache besides the capacity of its tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest value, in bytes; at most [`MAX_VALUE_LIMIT`].
    pub max_value: u64,
    /// The most namespaces that can hold credentials at a time.
    pub max_namespaces: u32,
    /// The lifetime of a lease that is requested without a ttl; above zero.
    pub lease_ttl: Duration,
    /// The most keys that can have a lease or be in a cool-down at a time. In addition, the cache
    /// remembers as many leases that ran out, and the answers to as many fills. The memory is
    /// divided equally among 64 stripes of names.
    pub max_leases: u32,
    /// The most Gets that can wait at a time.
    pub max_waiters: u32,
    /// The most Gets that can wait for one key at a time.
    pub max_waiters_per_key: u32,
    /// The most invalidations that the cache remembers in order to refuse stale fills, divided
    /// equally among 8 shards of namespaces.
    pub max_revocations: u32,
    /// The most watchers at a time.
    pub max_watchers: u32,
    /// The bytes of changes that the cache remembers for watchers, divided equally among 8 shards
    /// of namespaces.
    pub max_journal: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Limits {
    /// Values of 64 KiB, 4096 namespaces and leases of 10 s. With keys of the greatest length,
    /// leases, lapsed leases, fills, revocations and the journal take at most about 70 MiB each.
    pub const DEFAULT: Self = Self {
        max_value: 64 * 1024,
        max_namespaces: 4096,
        lease_ttl: Duration::from_secs(10),
        max_leases: 65_536,
        max_waiters: 65_536,
        max_waiters_per_key: 8_192,
        max_revocations: 65_536,
        max_watchers: 10_000,
        max_journal: 64 * 1024 * 1024,
    };

    /// Copies a value out of the caller's buffer.
    ///
    /// # Errors
    /// [`ValueTooLarge`] if the value is larger than `max_value`.
    pub fn value(&self, value: &[u8]) -> Result<Secret, ValueTooLarge> {
        if value.len() as u64 > self.max_value {
            return Err(ValueTooLarge {
                len: value.len(),
                max: self.max_value,
            });
        }
        Ok(Secret::copy_from(value))
    }
}

/// The error for a value that is larger than [`Limits::max_value`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be at most {max} bytes long, but is {len}")]
pub struct ValueTooLarge {
    len: usize,
    max: u64,
}

/// The error for more tags or attributes than a credential may have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must have at most {max} {unit}")]
pub struct TooMany {
    unit: &'static str,
    max: usize,
}

impl TooMany {
    pub(crate) fn new(unit: &'static str, max: usize) -> Self {
        Self { unit, max }
    }
}
