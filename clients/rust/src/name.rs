//! The full name of a credential.

/// A namespace and a key of it, kept apart so that no two names have the same text.
pub(crate) type Name = (String, String);
