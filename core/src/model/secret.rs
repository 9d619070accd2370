//! The only type that holds a credential's value.

use std::fmt;

use credcache_packed::Bytes;
use zeroize::Zeroize;

/// The value of a credential. It is never printed, and it is zeroed when dropped.
pub struct Secret(Bytes);

impl Secret {
    /// Copies the value out of the caller's buffer, which is often a slice of a much larger buffer.
    pub(crate) fn copy_from(value: &[u8]) -> Self {
        Self(Box::<[u8]>::from(value).into())
    }

    /// Concatenates the parts.
    pub(crate) fn from_parts(parts: &[&[u8]]) -> Self {
        // Allocated at its final length: a buffer that grows leaves copies of its content behind.
        Self(parts.concat().into_boxed_slice().into())
    }

    /// Returns the value itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The length of the value, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the value has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_value() {
        assert_eq!(format!("{:?}", Secret::copy_from(b"hunter2")), "Secret(..)");
    }
}
