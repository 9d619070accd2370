//! The configuration and the identity of a tier.

use std::time::Duration;

/// The configuration of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierSpec {
    /// The name by which a Put may request the tier.
    pub name: String,
    /// The longest lifetime in this tier; longer lifetimes are cut to it.
    pub max_ttl: Duration,
    /// The size limit, in bytes.
    pub capacity: u64,
}

/// Identifies a tier by its position among the tiers, shortest `max_ttl` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TierId(u8);

impl TierId {
    pub(crate) fn new(index: u8) -> Self {
        Self(index)
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }

    /// The position of the tier, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.into()
    }
}
