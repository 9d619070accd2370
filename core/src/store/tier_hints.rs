//! Hints for Gets: the tier that an entry with this hash was put into last.
//!
//! A wrong hint costs time but never changes an answer, because a Get that finds nothing in the
//! hinted tier looks into the others.

use std::sync::atomic::Ordering::Relaxed;

use crate::{model::tier_spec::TierId, sync::AtomicU8};

/// A table of hints with a few bits each. Every Get reads it, and the smaller it is, the more of it
/// stays in a core's cache.
pub(crate) struct TierHints {
    bytes: Box<[AtomicU8]>,
    /// The binary logarithm of the bits per hint, which are 2, 4 or 8.
    log_bits: u32,
}

/// The bytes of capacity per hint. Smaller entries share a hint.
const BYTES_PER_HINT: u64 = 512;
/// With 16 MiB, the table suffices for 32 GiB in four tiers. Beyond that, more entries share a
/// hint.
const MAX_BYTES: u64 = 1 << 24;

impl TierHints {
    /// Hints for `tiers` tiers with this total capacity in bytes.
    pub(crate) fn new(tiers: usize, capacity: u64) -> Self {
        let log_bits = match tiers {
            ..=4 => 1,
            5..=16 => 2,
            _ => 3,
        };
        let bytes = match tiers {
            ..=1 => 1,
            _ => (capacity / BYTES_PER_HINT) >> (3 - log_bits),
        };
        let bytes = bytes.clamp(1, MAX_BYTES).next_power_of_two();
        Self {
            bytes: (0..bytes).map(|_| AtomicU8::default()).collect(),
            log_bits,
        }
    }

    #[inline]
    pub(crate) fn tier(&self, hash: u64) -> TierId {
        let (byte, shift) = self.slot(hash);
        TierId::new(byte.load(Relaxed) >> shift & self.mask())
    }

    pub(crate) fn set(&self, hash: u64, tier: TierId) {
        let (byte, shift) = self.slot(hash);
        let old = byte.load(Relaxed);
        let new = old & !(self.mask() << shift) | tier.number() << shift;
        // A cache line that is only read stays in every core's cache. A hint in the same byte that
        // is set at the same time may be lost.
        if new != old {
            byte.store(new, Relaxed);
        }
    }

    fn mask(&self) -> u8 {
        u8::MAX >> (8 - (1 << self.log_bits))
    }

    /// Uses bits of the hash that the choice of a stripe doesn't use.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "cut to the table's length, and to 8"
    )]
    fn slot(&self, hash: u64) -> (&AtomicU8, u32) {
        let byte = &self.bytes[hash as usize & (self.bytes.len() - 1)];
        let shift = ((hash >> 32) as u32 & (7 >> self.log_bits)) << self.log_bits;
        (byte, shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_hint_stands_and_leaves_the_others_alone() {
        for tiers in [2, 4, 5, 16] {
            let tier_hints = TierHints::new(tiers, 1 << 20);
            let mut latest = std::collections::HashMap::new();
            for number in 0..1_000_u64 {
                let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let tier = TierId::new((number % tiers as u64).to_le_bytes()[0]);
                tier_hints.set(hash, tier);
                let (byte, shift) = tier_hints.slot(hash);
                latest.insert((std::ptr::from_ref(byte), shift), (hash, tier));
            }
            assert!(latest.len() > 500, "{} slots", latest.len());
            for (hash, tier) in latest.into_values() {
                assert_eq!(tier_hints.tier(hash), tier);
            }
        }
    }
}
