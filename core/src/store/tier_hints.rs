//! Which tier to look into first: the one that something of this hash was put
//! into last.
//!
//! Only a hint. A Get that finds nothing there looks into the others, so one
//! that is wrong costs time and changes no answer.

use std::sync::atomic::Ordering::Relaxed;

use crate::{model::tier_spec::TierId, sync::AtomicU8};

/// A few bits for each: they are looked up by every Get, and the fewer there are
/// the more of them are in a core's cache.
pub(crate) struct TierHints {
    bytes: Box<[AtomicU8]>,
    /// The logarithm of how many bits a hint has: 2, 4 or 8.
    log_bits: u32,
}

/// A hint for so many bytes of capacity: of smaller entries some share one.
const BYTES_PER_HINT: u64 = 512;
/// 16 MiB of bytes serve 32 GiB of four tiers; beyond, more share one.
const MOST_BYTES: u64 = 1 << 24;

impl TierHints {
    /// For so many tiers, of this capacity in all.
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
        let bytes = bytes.clamp(1, MOST_BYTES).next_power_of_two();
        Self {
            bytes: (0..bytes).map(|_| AtomicU8::default()).collect(),
            log_bits,
        }
    }

    #[inline]
    pub(crate) fn tier(&self, hash: u64) -> TierId {
        let (byte, shift) = self.place(hash);
        TierId::new(byte.load(Relaxed) >> shift & self.mask())
    }

    pub(crate) fn set(&self, hash: u64, tier: TierId) {
        let (byte, shift) = self.place(hash);
        let old = byte.load(Relaxed);
        let new = old & !(self.mask() << shift) | tier.number() << shift;
        // A line that is only read stays in every core's cache. A neighbour's
        // hint that is set at the same time may be lost.
        if new != old {
            byte.store(new, Relaxed);
        }
    }

    fn mask(&self) -> u8 {
        u8::MAX >> (8 - (1 << self.log_bits))
    }

    /// By bits of the hash that the choice of a stripe doesn't use.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "cut to the table's length, and to 8"
    )]
    fn place(&self, hash: u64) -> (&AtomicU8, u32) {
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
                let (byte, shift) = tier_hints.place(hash);
                latest.insert((std::ptr::from_ref(byte), shift), (hash, tier));
            }
            assert!(latest.len() > 500, "{} places", latest.len());
            for (hash, tier) in latest.into_values() {
                assert_eq!(tier_hints.tier(hash), tier);
            }
        }
    }
}
