//! An address in six bytes.

use std::ptr::{self, NonNull};

/// Where an allocation is. Aligned to two bytes, so that what holds one needn't
/// be aligned to eight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address([u16; 3]);

impl Address {
    /// `None` if the address has more than 48 bits.
    pub(crate) fn of<T>(pointer: NonNull<T>) -> Option<Self> {
        let [a, b, c, d, e, f, rest @ ..] =
            (pointer.as_ptr().expose_provenance() as u64).to_le_bytes();
        let parts = [[a, b], [c, d], [e, f]].map(u16::from_le_bytes);
        (rest == [0; 2]).then_some(Self(parts))
    }

    /// The pointer that the address was taken of.
    #[inline]
    pub(crate) fn pointer<T>(self) -> *mut T {
        let [low, middle, high] = self.0.map(usize::from);
        // Zero on 32-bit systems, where a shift by 32 would be too far.
        let high = high.checked_shl(32).unwrap_or_default();
        ptr::with_exposed_provenance_mut(low | middle << 16 | high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_comes_back_as_it_was() {
        for text in [String::from("on the heap"), "x".repeat(1 << 20)] {
            let pointer = NonNull::from(&text);
            let address = Address::of(pointer).expect("48 bits");
            assert_eq!(address.pointer::<String>(), pointer.as_ptr());
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn longest_address_fits_and_a_longer_one_is_refused() {
        let at = |address| NonNull::new(ptr::without_provenance_mut::<u8>(address)).expect("not 0");
        let longest = at((1 << 48) - 1);
        let address = Address::of(longest).expect("48 bits");
        assert_eq!(address.pointer::<u8>(), longest.as_ptr());
        assert!(Address::of(at(1 << 48)).is_none());
    }
}
