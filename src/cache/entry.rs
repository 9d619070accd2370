//! A stored credential.

use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;

use super::{
    MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES, MAX_TAGS,
    name::{Key, Name, Tag},
    namespaces::Namespace,
    revision::Revision,
    secret::Secret,
    tier_spec::TierId,
    time::Deadline,
};

/// What a Put brings besides its name and lifetime.
#[derive(Debug)]
pub struct Contents {
    /// The value.
    pub value: Secret,
    /// The labels Invalidate can find it by: sorted, each once.
    pub tags: Tags,
    /// Text kept beside the value.
    pub attributes: Attributes,
}

/// Sorted, and each once: an entry stands once under each of its tags.
#[derive(Default)]
pub struct Tags(Box<[Box<str>]>);

/// Pairs of text, in the order they came.
#[derive(Default)]
pub struct Attributes(Box<[(Box<str>, Box<str>)]>);

/// More tags or attributes than a credential may have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must have at most {max} {what}")]
pub struct TooMuch {
    what: &'static str,
    max: usize,
}

/// A credential as it is kept: never changed once stored.
pub(super) struct Entry {
    pub(super) hash: u64,
    pub(super) namespace: Arc<Namespace>,
    pub(super) key: Box<str>,
    pub(super) contents: Contents,
    pub(super) deadline: Deadline,
    pub(super) refresh_lead: Duration,
    pub(super) version: Revision,
    /// What it counts towards its tier's capacity, in bytes.
    pub(super) weight: u32,
    pub(super) tier: TierId,
}

/// Bytes an entry takes besides its key, value, tags and attributes: this
/// struct with its reference counts, its place in quick_cache (slab slot, hash
/// table, what is remembered of entries pushed out) and its places by name and
/// by deadline. Measured by `tests/memory.rs`.
pub const ENTRY_OVERHEAD: usize = 312;
/// The same for each tag: where its text is, and its place in the index.
pub const TAG_OVERHEAD: usize = 48;
/// The same for each attribute: where its two texts are.
pub const ATTRIBUTE_OVERHEAD: usize = 32;

impl Contents {
    /// What an entry with this key counts towards its tier's capacity.
    pub(super) fn weight(&self, key: Key<'_>) -> u64 {
        let text = |text: &str| allocated(text.len() as u64);
        let tags: u64 = self
            .tags
            .iter()
            .map(|tag| TAG_OVERHEAD as u64 + text(tag))
            .sum();
        let attributes = self.attributes.iter();
        let attributes: u64 = attributes
            .map(|(name, value)| ATTRIBUTE_OVERHEAD as u64 + text(name) + text(value))
            .sum();
        let value = allocated(self.value.len() as u64);
        ENTRY_OVERHEAD as u64 + text(key.as_str()) + value + tags + attributes
    }
}

/// What the allocator takes for this many bytes: it keeps four sizes to each
/// doubling.
pub(super) fn allocated(bytes: u64) -> u64 {
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16))
}

impl Tags {
    /// Tags in any order, repeated or not.
    ///
    /// # Errors
    /// More than [`MAX_TAGS`], repeated ones not counted.
    pub fn new<'a>(tags: impl IntoIterator<Item = Tag<'a>>) -> Result<Self, TooMuch> {
        let mut tags: Vec<Box<str>> = tags.into_iter().map(|tag| tag.as_str().into()).collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.len() > MAX_TAGS {
            return Err(TooMuch {
                what: "tags",
                max: MAX_TAGS,
            });
        }
        Ok(Self(tags.into()))
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|tag| &**tag)
    }

    /// Their places, 0 and up: never more than the 16 that a Put may bring.
    pub(super) fn numbers(&self) -> std::ops::Range<u8> {
        0..u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }

    pub(super) fn nth(&self, nth: u8) -> &str {
        &self.0[usize::from(nth)]
    }
}

impl Attributes {
    /// Copies the pairs.
    ///
    /// # Errors
    /// More than [`MAX_ATTRIBUTES`], or more bytes than
    /// [`MAX_ATTRIBUTE_BYTES`] in all.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, TooMuch> {
        let pairs: Box<[(Box<str>, Box<str>)]> = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        if pairs.len() > MAX_ATTRIBUTES {
            return Err(TooMuch {
                what: "pairs",
                max: MAX_ATTRIBUTES,
            });
        }
        let bytes: usize = pairs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes > MAX_ATTRIBUTE_BYTES {
            return Err(TooMuch {
                what: "bytes in all",
                max: MAX_ATTRIBUTE_BYTES,
            });
        }
        Ok(Self(pairs))
    }

    /// The pairs, as they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tags(<{}>)", self.0.len())
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes(<{}>)", self.0.len())
    }
}

impl Entry {
    pub(super) fn is_named(&self, name: Name<'_>) -> bool {
        *self.key == *name.key.as_str() && *self.namespace.name == *name.namespace.as_str()
    }
}
