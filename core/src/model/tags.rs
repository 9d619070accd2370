//! The tags that an invalidation can find a credential by.

use std::fmt;

use crate::model::{
    limits::{MAX_TAGS, TooMany},
    name::Tag,
};

/// Sorted, and each once: an entry stands once under each of its tags.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tags(Box<[Box<str>]>);

impl Tags {
    /// Tags in any order, repeated or not.
    ///
    /// # Errors
    /// More than [`MAX_TAGS`], repeated ones not counted.
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
