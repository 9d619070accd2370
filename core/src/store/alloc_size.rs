//! What the allocator really takes for an allocation.

/// How many bytes the allocator takes for an allocation of `bytes`: jemalloc keeps
/// four size classes to each doubling, 16 bytes apart at the least.
pub(crate) const fn alloc_size(bytes: u64) -> u64 {
    let step = bytes.next_power_of_two() / 8;
    bytes.next_multiple_of(if step < 16 { 16 } else { step })
}
