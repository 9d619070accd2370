//! A map from targets within a namespace: one key, all keys with a prefix, all credentials with a
//! tag, or the whole namespace.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use crate::model::{invalidation::OwnedTarget, name::Key};

/// At most one value for each target.
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
    pub(super) fn get_mut(&mut self, target: &OwnedTarget) -> Option<&mut T> {
        match target {
            OwnedTarget::Key(key) => self.keys.get_mut(key),
            OwnedTarget::Prefix(prefix) => self.prefixes.get_mut(prefix),
            OwnedTarget::Tag(tag) => self.tags.get_mut(tag),
            OwnedTarget::All => self.all.as_mut(),
        }
    }

    pub(super) fn insert(&mut self, target: OwnedTarget, value: T) {
        match target {
            OwnedTarget::Key(key) => drop(self.keys.insert(key, value)),
            OwnedTarget::Prefix(prefix) => drop(self.prefixes.insert(prefix, value)),
            OwnedTarget::Tag(tag) => drop(self.tags.insert(tag, value)),
            OwnedTarget::All => self.all = Some(value),
        }
    }

    pub(super) fn remove(&mut self, target: &OwnedTarget) -> Option<T> {
        match target {
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

    /// The values of all targets that cover a credential with this key and these tags. `tags` is
    /// called only if the map contains any tag.
    pub(super) fn covering<'t, Tags: Iterator<Item = &'t str>>(
        &self,
        key: Key<'_>,
        tags: impl FnOnce() -> Tags,
    ) -> impl Iterator<Item = &T> {
        let tags = (!self.tags.is_empty()).then(tags);
        self.all
            .iter()
            .chain(self.keys.get(key.as_str()))
            .chain(self.covering_prefixes(key.as_str()))
            .chain(
                tags.into_iter()
                    .flatten()
                    .filter_map(|tag| self.tags.get(tag)),
            )
    }

    /// The values of all prefixes of this key, longest first. Each step finds one prefix, or rules
    /// out all prefixes that share no more with the key.
    fn covering_prefixes(&self, key: &str) -> impl Iterator<Item = &T> {
        let mut bound = Bound::Included(key);
        std::iter::from_fn(move || {
            loop {
                let below = (Bound::Unbounded, bound);
                let (prefix, value) = self.prefixes.range::<str, _>(below).next_back()?;
                let common = common_prefix(prefix, key);
                if common.len() == prefix.len() {
                    bound = Bound::Excluded(common);
                    return Some(value);
                }
                bound = Bound::Included(common);
            }
        })
    }
}

/// The longest common prefix of both texts, as a slice of the second.
fn common_prefix<'a>(text: &str, key: &'a str) -> &'a str {
    let pairs = text.chars().zip(key.char_indices());
    let differing = pairs.into_iter().find(|(a, (_, b))| a != b);
    let len = differing.map_or(text.len().min(key.len()), |(_, (index, _))| index);
    &key[..len]
}
