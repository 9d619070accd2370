//! The tags of a credential, by which an invalidation can find it.

use std::fmt;

use crate::model::{
    limits::{MAX_TAGS, TooMany},
    name::Tag,
};

/// A sorted set of tags. No tag is repeated, because an entry is indexed once under each of its
/// tags.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tags(Box<[Box<str>]>);

impl Tags {
    /// Accepts tags in any order, and removes duplicates.
    ///
    /// # Errors
    /// [`TooMany`] for more than [`MAX_TAGS`] different tags.
    pub fn new<'a>(tags: impl IntoIterator<Item = Tag<'a>>) -> Result<Self, TooMany> {
        let mut tags: Vec<Box<str>> = tags.into_iter().map(|tag| tag.as_str().into()).collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.len() > MAX_TAGS {
            return Err(TooMany::new("tags", MAX_TAGS));
        }
        Ok(Self(tags.into()))
    }

    /// The tags, in the order of their bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|tag| &**tag)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn nth(&self, nth: usize) -> Option<&str> {
        self.0.get(nth).map(|tag| &**tag)
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tags(<{}>)", self.0.len())
    }
}
