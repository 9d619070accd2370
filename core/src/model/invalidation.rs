//! Invalidation requests: borrowed as a caller states them, and owned as the cache keeps them.

use std::sync::Arc;

use crate::model::{
    name::{Key, KeyPrefix, NamespaceName, Tag},
    revision::Revision,
    time::WallTime,
};

/// The credentials that an invalidation covers.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The credential of one key.
    Key {
        /// The key.
        key: Key<'a>,
        /// If set, the credential is invalidated only if it has this version.
        if_version: Option<Revision>,
    },
    /// Every credential whose key starts with this prefix.
    Prefix(KeyPrefix<'a>),
    /// Every credential with this tag.
    Tag(Tag<'a>),
    /// Every credential of the namespace.
    All,
}

/// A request to invalidate credentials.
#[derive(Clone, Copy, Debug)]
pub struct Invalidate<'a> {
    /// The namespace of the credentials.
    pub namespace: NamespaceName<'a>,
    /// The credentials of the namespace that are covered.
    pub target: Target<'a>,
    /// Credentials issued at or before this instant are refused from now on. `None` stands for the
    /// instant of the invalidation. An instant more than
    /// [`MAX_CLOCK_AHEAD`](crate::MAX_CLOCK_AHEAD) in the future is replaced by the instant that
    /// far ahead.
    pub issued_before: Option<WallTime>,
}

/// An owned [`Invalidate`], independent of the buffer that the request was read from.
#[derive(Clone, Debug)]
pub struct Invalidation {
    namespace: Box<str>,
    pub(crate) target: OwnedTarget,
    /// `Some` only with [`OwnedTarget::Key`].
    pub(crate) if_version: Option<Revision>,
    pub(crate) issued_before: Option<WallTime>,
}

/// The part of a namespace that an invalidation covers, without its version condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedTarget {
    /// The credential of this key.
    Key(Arc<str>),
    /// Every credential whose key starts with this prefix.
    Prefix(Arc<str>),
    /// Every credential with this tag.
    Tag(Arc<str>),
    /// Every credential of the namespace.
    All,
}

impl Invalidation {
    /// Whether the invalidation covers at most one key. Such an invalidation takes no longer than a
    /// Put.
    #[must_use]
    pub fn is_of_one_key(&self) -> bool {
        matches!(self.target, OwnedTarget::Key(_))
    }

    pub(crate) fn namespace(&self) -> NamespaceName<'_> {
        NamespaceName::known(&self.namespace)
    }
}

impl From<Invalidate<'_>> for Invalidation {
    fn from(invalidate: Invalidate<'_>) -> Self {
        let Invalidate {
            namespace,
            target,
            issued_before,
        } = invalidate;
        let (target, if_version) = match target {
            Target::Key { key, if_version } => (OwnedTarget::Key(key.as_str().into()), if_version),
            Target::Prefix(prefix) => (OwnedTarget::Prefix(prefix.as_str().into()), None),
            Target::Tag(tag) => (OwnedTarget::Tag(tag.as_str().into()), None),
            Target::All => (OwnedTarget::All, None),
        };
        Self {
            namespace: namespace.as_str().into(),
            target,
            if_version,
            issued_before,
        }
    }
}

impl OwnedTarget {
    /// The key, prefix or tag; empty for the whole namespace.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Prefix(text) | Self::Tag(text) => text,
            Self::All => "",
        }
    }
}
