//! What a cache is bounded by besides the capacity of its tiers.

use std::time::Duration;

use thiserror::Error;

use crate::model::secret::Secret;

/// The largest value that [`Limits`] may allow, in bytes: a message of 4 MiB
/// must always hold it with its tags and attributes.
pub const MAX_VALUE_LIMIT: u64 = 1024 * 1024;

/// The most tags a credential may have.
pub const MAX_TAGS: usize = 16;
/// The most attributes a credential may have.
pub const MAX_ATTRIBUTES: usize = 16;
/// The most bytes that the attributes of a credential may have in all.
pub const MAX_ATTRIBUTE_BYTES: usize = 4096;
/// The most tiers a cache may have.
pub const MAX_TIERS: usize = 16;

/// What a cache is bounded by besides the capacity of its tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest value, in bytes; at most [`MAX_VALUE_LIMIT`].
    pub max_value: u64,
    /// How many namespaces can hold something at a time.
    pub max_namespaces: u32,
    /// How long a lease lasts that is asked for without a ttl; above zero.
    pub lease_ttl: Duration,
    /// How many keys can have a lease, or be in a cool-down, at a time. So many
    /// leases that ran out are remembered besides, and so many fills; in equal
    /// parts for 64 groups of keys.
    pub max_leases: u32,
    /// How many Gets can wait at a time.
    pub max_waiters: u32,
    /// How many of them for one key.
    pub max_waiters_per_key: u32,
    /// How many invalidations are remembered for refusing what was fetched
    /// before; in equal parts for 8 groups of namespaces.
    pub max_revocations: u32,
    /// How many watchers there can be at a time.
    pub max_watchers: u32,
    /// How many bytes of changes are remembered for watchers; in equal parts
    /// for 8 groups of namespaces.
    pub max_journal: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Limits {
    /// Values of 64 KiB, 4096 namespaces, leases of 10 s; and at the most some
    /// 70 MiB each of leases, of leases that ran out, of fills, of revocations
    /// and of the journal, should every key be as long as it may.
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

    /// Copies a value out of the caller's buffer, if it is within the limit.
    ///
    /// # Errors
    /// The value is larger than `max_value`.
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

/// A value over the limit.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be at most {max} bytes, is {len}")]
pub struct ValueTooLarge {
    len: usize,
    max: u64,
}

/// More tags or attributes than a credential may have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must have at most {max} {what}")]
pub struct TooMany {
    what: &'static str,
    max: usize,
}

impl TooMany {
    pub(crate) fn new(what: &'static str, max: usize) -> Self {
        Self { what, max }
    }
}
