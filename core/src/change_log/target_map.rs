//! What is known of parts of a namespace, found by what they hold: one key,
//! every key with a prefix, every credential with a tag, or all.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use crate::model::{invalidation::OwnedTarget, name::Key};

/// One `T` for each part.
pub(super) struct Targets<T> {
    keys: HashMap<Arc<str>, T>,
    prefixes: BTreeMap<Arc<str>, T>,
    tags: HashMap<Arc<str>, T>,
    all: Option<T>,
}

impl<T> Default for Targets<T> {
    fn default() -> Self {
        Self {
            keys: HashMap::new(),
            prefixes: BTreeMap::new(),
            tags: HashMap::new(),
            all: None,
        }
    }
}

impl<T> Targets<T> {
    pub(super) fn get_mut(&mut self, part: &OwnedTarget) -> Option<&mut T> {
        match part {
            OwnedTarget::Key(key) => self.keys.get_mut(key),
            OwnedTarget::Prefix(prefix) => self.prefixes.get_mut(prefix),
            OwnedTarget::Tag(tag) => self.tags.get_mut(tag),
            OwnedTarget::All => self.all.as_mut(),
        }
    }

    pub(super) fn insert(&mut self, part: OwnedTarget, known: T) {
        match part {
            OwnedTarget::Key(key) => drop(self.keys.insert(key, known)),
            OwnedTarget::Prefix(prefix) => drop(self.prefixes.insert(prefix, known)),
            OwnedTarget::Tag(tag) => drop(self.tags.insert(tag, known)),
            OwnedTarget::All => self.all = Some(known),
        }
    }

    pub(super) fn remove(&mut self, part: &OwnedTarget) -> Option<T> {
        match part {
            OwnedTarget::Key(key) => self.keys.remove(key),
            OwnedTarget::Prefix(prefix) => self.prefixes.remove(prefix),
            OwnedTarget::Tag(tag) => self.tags.remove(tag),
            OwnedTarget::All => self.all.take(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
            && self.prefixes.is_empty()
            && self.tags.is_empty()
            && self.all.is_none()
    }

    /// What is known of every part that a credential of this key, with these
    /// tags, belongs to. `tags` is called only if something is known of any tag.
    pub(super) fn around<'t, Tags: Iterator<Item = &'t str>>(
        &self,
        key: Key<'_>,
        tags: impl FnOnce() -> Tags,
    ) -> impl Iterator<Item = &T> {
        let tags = (!self.tags.is_empty()).then(tags);
        self.all
            .iter()
            .chain(self.keys.get(key.as_str()))
            .chain(self.around_prefixes_of(key.as_str()))
            .chain(
                tags.into_iter()
                    .flatten()
                    .filter_map(|tag| self.tags.get(tag)),
            )
    }

    /// What is known of prefixes of this key, longest first. Each step finds one
    /// or rules out all that don't share more with the key.
    fn around_prefixes_of(&self, key: &str) -> impl Iterator<Item = &T> {
        let mut bound = Bound::Included(key);
        std::iter::from_fn(move || {
            loop {
                let below = (Bound::Unbounded, bound);
                let (prefix, known) = self.prefixes.range::<str, _>(below).next_back()?;
                let shared = shared(prefix, key);
                if shared.len() == prefix.len() {
                    bound = Bound::Excluded(shared);
                    return Some(known);
                }
                bound = Bound::Included(shared);
            }
        })
    }
}

/// What both texts begin with, taken from the second.
fn shared<'a>(one: &str, other: &'a str) -> &'a str {
    let pairs = one.chars().zip(other.char_indices());
    let differing = pairs.into_iter().find(|(a, (_, b))| a != b);
    let len = differing.map_or(one.len().min(other.len()), |(_, (place, _))| place);
    &other[..len]
}
