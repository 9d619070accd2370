//! The type that carries a credential's value.
//!
//! Guarantees that the value is neither printed nor serialized by accident, and
//! that its memory is zeroed when it is dropped. The copies that the transport
//! made on the way are out of its reach.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

/// A credential's value: bytes that only [`expose`](Self::expose) shows.
///
/// `Debug` prints a placeholder; there is no `Display`.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the value over. A `Vec` or a `String` isn't copied; what is
    /// borrowed is, and stays with its owner to be zeroed.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value for a message, without a copy: its memory is zeroed once the
    /// last handle to it is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
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
    fn debug_shows_neither_value_nor_length() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
        assert_eq!(format!("{:#?}", Secret::new("")), "Secret(..)");
    }

    #[test]
    fn message_bytes_are_the_value_at_its_own_address() {
        let secret = Secret::new("hunter2");
        let address = secret.expose().as_ptr();
        let bytes = secret.into_bytes();
        assert_eq!((&bytes[..], bytes.as_ptr()), (&b"hunter2"[..], address));
    }
}
