//! A memory address in six bytes.

use std::ptr::{self, NonNull};

/// The address of an allocation. Its alignment is two bytes, so that a type that contains it
/// doesn't need an alignment of eight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address([u16; 3]);

impl Address {
    /// Returns `None` if the address has more than 48 bits.
    pub(crate) fn of<T>(pointer: NonNull<T>) -> Option<Self> {
        let [a, b, c, d, e, f, rest @ ..] =
            (pointer.as_ptr().expose_provenance() as u64).to_le_bytes();
        let parts = [[a, b], [c, d], [e, f]].map(u16::from_le_bytes);
        (rest == [0; 2]).then_some(Self(parts))
    }

    /// Returns the pointer that the address was made from.
    #[inline]
    pub(crate) fn pointer<T>(self) -> *mut T {
        let [low, middle, high] = self.0.map(usize::from);
        // Zero on 32-bit systems, where a shift by 32 would overflow.
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
