//! Allocation sizes.

/// How many bytes the allocator uses for an allocation of `bytes`: jemalloc has four size classes
/// per doubling, at least 16 bytes apart.
pub(crate) const fn alloc_size(bytes: u64) -> u64 {
    let step = bytes.next_power_of_two() / 8;
    bytes.next_multiple_of(if step < 16 { 16 } else { step })
}
