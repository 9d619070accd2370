//! The type that carries a credential's value.
//!
//! Guarantees that the value is neither printed nor serialized by accident, and that
//! its memory is zeroed when it is dropped. The copies that the transport makes on
//! the way aren't covered.

use std::fmt;

use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

/// A credential's value: bytes that only [`expose`](Self::expose) shows.
///
/// ```
/// use credcache_client::Secret;
///
/// let secret = Secret::new(String::from("hunter2"));
/// assert_eq!(secret.expose(), b"hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// ```
///
/// `Debug` prints a placeholder, and there is no `Display`. The memory is zeroed when
/// the secret is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Makes a secret of a value. A `Vec` or a `String` isn't copied. A borrowed value
    /// is copied, and the original stays with its owner, who must zero it.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value of a received message, in memory of its own. The message is wiped.
    ///
    /// Keeping the message's memory would hold a buffer of 8 KiB or more for as long
    /// as the value lives.
    pub(crate) fn received(value: Bytes) -> Self {
        let secret = Self::new(&value[..]);
        if let Ok(mut message) = value.try_into_mut() {
            message.zeroize();
        }
        secret
    }

    /// Returns the value.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the value as text; `None` if it isn't UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
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
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn debug_shows_neither_value_nor_length() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
        assert_eq!(format!("{:#?}", Secret::new("")), "Secret(..)");
    }

    #[test]
    fn value_is_text_if_it_can_be() {
        assert_eq!(Secret::new("hunter2").as_str(), Some("hunter2"));
        assert_eq!(Secret::new(vec![0xff, 0xfe]).as_str(), None);
    }

    #[test]
    fn received_value_does_not_hold_the_buffer_it_came_in() {
        let mut buffer = BytesMut::with_capacity(8192);
        buffer.extend_from_slice(b"a message with hunter2 in it");
        let secret = Secret::received(buffer.freeze().slice(15..22));
        assert_eq!(secret.expose(), b"hunter2");
        assert_eq!(secret.0.capacity(), 7);
    }

    #[test]
    fn message_bytes_are_the_value_at_its_own_address() {
        let secret = Secret::new("hunter2");
        let address = secret.expose().as_ptr();
        let bytes = secret.into_bytes();
        assert_eq!((&bytes[..], bytes.as_ptr()), (&b"hunter2"[..], address));
    }
}
