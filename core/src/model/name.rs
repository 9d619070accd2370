//! Validated names: namespaces, keys, key prefixes and tags.
//!
//! A name is checked once, when it is parsed. All other code takes these types and relies on the
//! check.

use thiserror::Error;

/// The maximum length of a namespace, in bytes.
pub const MAX_NAMESPACE: usize = 63;
/// The maximum length of a key or key prefix, in bytes.
pub const MAX_KEY: usize = 1024;
/// The maximum length of a tag, in bytes.
pub const MAX_TAG: usize = 128;

/// Why a text isn't a valid name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is too long.
    #[error("must be at most {max} bytes long, but is {len}")]
    TooLong {
        /// The length of the text, in bytes.
        len: usize,
        /// The maximum length, in bytes.
        max: usize,
    },
    /// The namespace contains a character that isn't allowed.
    #[error("must consist of [a-z0-9._-] and start with a letter or digit")]
    BadCharacter,
}

/// The name of a namespace: 1 to 63 bytes of `[a-z0-9._-]`, starting with a
/// letter or digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName<'a>(&'a str);

/// A key: 1 to 1024 bytes of UTF-8. A key may name a person or an account, so its `Debug` output
/// hides the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key<'a>(&'a str);

/// A prefix of keys: 1 to 1024 bytes of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyPrefix<'a>(&'a str);

/// A tag: 1 to 128 bytes of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag<'a>(&'a str);

/// The full name of a credential. Namespace and key are never concatenated, so two different names
/// can't be confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The namespace.
    pub namespace: NamespaceName<'a>,
    /// The key within the namespace.
    pub key: Key<'a>,
}

impl<'a> NamespaceName<'a> {
    /// Validates a namespace.
    ///
    /// # Errors
    /// [`NameError`] if the text is empty, too long, or contains a character that isn't allowed.
    pub fn parse(text: &'a str) -> Result<Self, NameError> {
        check_len(text, MAX_NAMESPACE)?;
        let mut bytes = text.bytes();
        let leads = bytes
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let follows = bytes.all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        });
        if leads && follows {
            Ok(Self(text))
        } else {
            Err(NameError::BadCharacter)
        }
    }

    /// Wraps a text that was validated before.
    pub(crate) fn known(text: &'a str) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

macro_rules! bounded_text {
    ($name:ident, $max:expr) => {
        impl<'a> $name<'a> {
            /// Validates the length.
            ///
            /// # Errors
            /// [`NameError`] if the text is empty or too long.
            pub fn parse(text: &'a str) -> Result<Self, NameError> {
                check_len(text, $max).map(|()| Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(self) -> &'a str {
                self.0
            }
        }

        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

impl<'a> Key<'a> {
    /// Wraps a text that was validated before.
    pub(crate) fn known(text: &'a str) -> Self {
        Self(text)
    }

    /// Returns `None` unless the bytes are UTF-8 of a valid length.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Option<Self> {
        Self::parse(str::from_utf8(bytes).ok()?).ok()
    }
}

bounded_text!(Key, MAX_KEY);
bounded_text!(KeyPrefix, MAX_KEY);
bounded_text!(Tag, MAX_TAG);

fn check_len(text: &str, max: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        len if len > max => Err(NameError::TooLong { len, max }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_follow_their_alphabet() {
        for good in ["a", "0", "team-a", "a.b_c-9", &"x".repeat(MAX_NAMESPACE)] {
            assert!(NamespaceName::parse(good).is_ok(), "{good}");
        }
        for bad in ["-a", ".a", "_a", "A", "a b", "a/b", "ä"] {
            assert_eq!(
                NamespaceName::parse(bad),
                Err(NameError::BadCharacter),
                "{bad}"
            );
        }
        assert_eq!(NamespaceName::parse(""), Err(NameError::Empty));
        let long = "x".repeat(MAX_NAMESPACE + 1);
        assert_eq!(
            NamespaceName::parse(&long),
            Err(NameError::TooLong { len: 64, max: 63 })
        );
    }

    #[test]
    fn keys_are_bounded_in_bytes_not_in_characters() {
        assert!(Key::parse(&"ä".repeat(MAX_KEY / 2)).is_ok());
        assert!(Key::parse(&"ä".repeat(MAX_KEY / 2 + 1)).is_err());
    }
}
