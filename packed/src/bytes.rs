//! A boxed slice of bytes in ten bytes.

use std::{
    alloc::{Layout, handle_alloc_error},
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
};

use crate::address::Address;

/// An owned slice of up to 4 GiB.
pub struct Bytes {
    address: Address,
    len: [u16; 2],
}

impl Bytes {
    #[inline]
    fn slice(&self) -> *mut [u8] {
        let [low, high] = self.len.map(usize::from);
        ptr::slice_from_raw_parts_mut(self.address.pointer(), low | high << 16)
    }
}

impl From<Box<[u8]>> for Bytes {
    /// # Panics
    /// If the slice is longer than 4 GiB.
    fn from(bytes: Box<[u8]>) -> Self {
        let layout = Layout::for_value(&*bytes);
        let len = crate::len(&bytes);
        let owned = NonNull::new(Box::into_raw(bytes).cast::<u8>());
        let Some(address) = owned.and_then(Address::of) else {
            handle_alloc_error(layout);
        };
        let [a, b, c, d] = len.to_le_bytes();
        Self {
            address,
            len: [[a, b], [c, d]].map(u16::from_le_bytes),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: address and length are those of the box that `self` was made from and owns.
        unsafe { &*self.slice() }
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the borrow of `self` is exclusive.
        unsafe { &mut *self.slice() }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: as in `deref`, and the address isn't used after this.
        drop(unsafe { Box::from_raw(self.slice()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_box_and_may_be_changed() {
        assert_eq!((size_of::<Bytes>(), align_of::<Bytes>()), (10, 2));
        // Miri takes a second for some thousand bytes.
        let longest: &[usize] = if cfg!(miri) { &[] } else { &[65_536, 1 << 20] };
        for len in [0, 1, 255, 256].iter().chain(longest) {
            let mut expected: Vec<u8> = (0..=u8::MAX).cycle().take(*len).collect();
            let mut bytes = Bytes::from(Box::from(expected.as_slice()));
            assert_eq!(*bytes, *expected);
            expected.fill(0);
            bytes.fill(0);
            assert_eq!(*bytes, *expected);
        }
    }
}
