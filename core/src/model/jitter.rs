//! Jitter, which spreads events in time that would otherwise coincide.

/// Returns a number that differs from key to key and from occasion to occasion. It needs no source
/// of randomness.
pub(crate) fn jitter(hash: u64, occasion: u64) -> u8 {
    let mixed = (hash ^ occasion).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed.to_be_bytes()[0]
}
