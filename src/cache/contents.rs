//! What a Put brings besides its name and lifetime.

use std::fmt;

use thiserror::Error;

use super::{MAX_TAGS, attributes::Attributes, name::Tag, secret::Secret};

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
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tags(Box<[Box<str>]>);

/// More tags or attributes than a credential may have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must have at most {max} {what}")]
pub struct TooMuch {
    what: &'static str,
    max: usize,
}

impl TooMuch {
    pub(super) fn new(what: &'static str, max: usize) -> Self {
        Self { what, max }
    }
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
            return Err(TooMuch::new("tags", MAX_TAGS));
        }
        Ok(Self(tags.into()))
    }

    /// The tags, in the order of their bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|tag| &**tag)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn nth(&self, nth: usize) -> Option<&str> {
        self.0.get(nth).map(|tag| &**tag)
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tags(<{}>)", self.0.len())
    }
}
