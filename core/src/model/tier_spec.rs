//! What a tier is: its name, its bounds, and its place among the tiers.

use std::time::Duration;

/// A tier as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierSpec {
    /// Its name, which callers may ask for.
    pub name: String,
    /// The longest lifetime it keeps; longer ones are cut to it.
    pub max_ttl: Duration,
    /// Its size bound, in bytes.
    pub capacity: u64,
}

/// Which tier: its place among the tiers, shortest `max_ttl` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TierId(u8);

impl TierId {
    pub(crate) fn new(index: u8) -> Self {
        Self(index)
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }

    /// Its place among the tiers.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.into()
    }
}
