//! What entries share: their namespace and their tags, kept once for all the
//! entries of a stripe that have the same.
//!
//! A record is there for as long as an entry of the index has it: tags that
//! nothing has any more take no memory.

use std::{
    cmp::Ordering,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use credcache_packed::Shared;

use super::{
    contents::Tags, entry::allocated, name::MAX_NAMESPACE, namespaces::Namespace,
    sync::AtomicUsize, tree::Tree,
};

/// A clone is the same one.
#[derive(Clone)]
pub(super) struct Group(Shared<Head>);

/// The namespace's name stands behind it: each Get compares it.
struct Head {
    namespace: Arc<Namespace>,
    tags: Tags,
    /// How many entries of the index have it; changes under the stripe's lock.
    entries: AtomicUsize,
    weight: u32,
}

/// The groups of a stripe that entries have. No hash table: those of tags that
/// come and go would be twice as large as what they hold.
#[derive(Default)]
pub(super) struct Groups(Tree<Group, ()>);

/// Bytes that a group takes besides its own: its place among the others, and
/// where its tags are. Measured by `tests/memory.rs`.
const GROUP_PLACES: u64 = 16;
/// Bytes that a tag takes besides its text: where that is, and the entry's place
/// under it. Measured by `tests/memory.rs`.
pub const TAG_OVERHEAD: usize = 26;

/// What an entry with these tags counts for them. As if it alone had them: that
/// there are others may change at any time, what it counts may not.
fn weight(namespace: &str, tags: &Tags) -> u64 {
    if tags.is_empty() {
        return 0;
    }
    let each = tags
        .iter()
        .map(|tag| TAG_OVERHEAD as u64 + allocated(tag.len() as u64));
    own_weight(namespace.len()) + each.sum::<u64>()
}

/// The most that [`weight`] can be for `tags` tags of up to `len` bytes.
pub(super) const fn largest_weight(tags: usize, len: usize) -> u64 {
    let tags = tags as u64 * (TAG_OVERHEAD as u64 + allocated(len as u64));
    own_weight(MAX_NAMESPACE) + tags
}

const fn own_weight(namespace: usize) -> u64 {
    let own = Shared::<Head>::OVERHEAD + size_of::<Head>() + namespace;
    GROUP_PLACES + allocated(own as u64)
}

impl Group {
    pub(super) fn namespace(&self) -> &Arc<Namespace> {
        &self.0.namespace
    }

    pub(super) fn namespace_name(&self) -> &[u8] {
        self.0.bytes()
    }

    pub(super) fn tags(&self) -> &Tags {
        &self.0.tags
    }

    /// What an entry counts for it, in bytes.
    pub(super) fn weight(&self) -> u32 {
        self.0.weight
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }

    fn cmp(&self, namespace: u64, tags: &Tags) -> Ordering {
        let by_namespace = self.namespace().id.cmp(&namespace);
        by_namespace.then_with(|| self.tags().cmp(tags))
    }
}

impl Groups {
    /// The group of these, for an entry that is about to be counted in.
    pub(super) fn of(&self, namespace: &Arc<Namespace>, tags: Tags) -> Group {
        if let Some(found) = self.0.find(|one| one.cmp(namespace.id, &tags)) {
            return found.clone();
        }
        let head = Head {
            namespace: namespace.clone(),
            weight: u32::try_from(weight(&namespace.name, &tags)).unwrap_or(u32::MAX),
            tags,
            entries: AtomicUsize::default(),
        };
        Group(Shared::new(head, namespace.name.as_bytes()))
    }

    pub(super) fn entry_came(&mut self, group: &Group) {
        if group.0.entries.fetch_add(1, Relaxed) == 0 {
            let order = |one: &Group| one.cmp(group.namespace().id, group.tags());
            self.0.insert(group.clone(), order);
        }
    }

    pub(super) fn entry_went(&mut self, group: &Group) {
        if group.0.entries.fetch_sub(1, Relaxed) == 1 {
            self.0
                .remove(|one| one.cmp(group.namespace().id, group.tags()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{
        name::{NamespaceName, Tag},
        namespaces::Namespaces,
    };

    fn tags(texts: &[&str]) -> Tags {
        Tags::new(texts.iter().map(|text| Tag::parse(text).expect("a tag"))).expect("few")
    }

    #[test]
    fn entries_of_one_namespace_and_tags_share_them_until_the_last_is_gone() {
        let namespaces = Namespaces::new(2, 1);
        let [a, b] = ["a", "b"].map(|name| {
            let name = NamespaceName::parse(name).expect("a namespace");
            namespaces.find_or_create(name).expect("room")
        });
        let mut groups = Groups::default();
        let first = groups.of(&a, tags(&["x", "y"]));
        groups.entry_came(&first);
        let second = groups.of(&a, tags(&["y", "x"]));
        assert!(first.is_same(&second));
        groups.entry_came(&second);
        for other in [
            groups.of(&a, tags(&["x"])),
            groups.of(&b, tags(&["x", "y"])),
        ] {
            assert!(!first.is_same(&other));
        }

        groups.entry_went(&first);
        assert!(first.is_same(&groups.of(&a, tags(&["x", "y"]))));
        groups.entry_went(&first);
        assert!(groups.0.find(|_| Ordering::Equal).is_none(), "empty");
        assert!(!first.is_same(&groups.of(&a, tags(&["x", "y"]))));
    }
}
