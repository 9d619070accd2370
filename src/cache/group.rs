//! What entries share: their namespace and their tags, kept once for all the
//! entries of a stripe that have the same.
//!
//! A record is there for as long as an entry of the index has it: tags that
//! nothing has any more take no memory.

use std::{
    cmp::Ordering,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{
    contents::Tags, entry::allocated, namespaces::Namespace, sync::AtomicUsize, tree::Tree,
};

pub(super) struct Group {
    pub(super) namespace: Arc<Namespace>,
    pub(super) tags: Tags,
    /// How many entries of the index have it; changes under the stripe's lock.
    entries: AtomicUsize,
    /// What an entry counts for it, in bytes.
    pub(super) weight: u32,
}

/// The groups of a stripe that entries have. No hash table: those of tags that
/// come and go would be twice as large as what they hold.
#[derive(Default)]
pub(super) struct Groups(Tree<Arc<Group>, ()>);

/// Bytes that tags take besides their text and [`TAG_OVERHEAD`]: their group
/// and its place among the others. Measured by `tests/memory.rs`.
///
/// [`TAG_OVERHEAD`]: super::TAG_OVERHEAD
const GROUP_OVERHEAD: u64 = 80;
/// Bytes that a tag takes besides its text: where that is, and the entry's place
/// under it. Measured by `tests/memory.rs`.
pub const TAG_OVERHEAD: usize = 28;

/// What an entry with these tags counts for them. As if it alone had them: that
/// there are others may change at any time, what it counts may not.
fn weight(tags: &Tags) -> u64 {
    if tags.is_empty() {
        return 0;
    }
    let each = tags
        .iter()
        .map(|tag| TAG_OVERHEAD as u64 + allocated(tag.len() as u64));
    GROUP_OVERHEAD + each.sum::<u64>()
}

/// The most that [`weight`] can be for `tags` tags of up to `len` bytes.
pub(super) const fn largest_weight(tags: usize, len: usize) -> u64 {
    // A text is rounded up by a quarter at the most, or to 16 bytes.
    GROUP_OVERHEAD + (tags * (TAG_OVERHEAD + len + len / 4 + 16)) as u64
}

impl Group {
    fn cmp(&self, namespace: u64, tags: &Tags) -> Ordering {
        let by_namespace = self.namespace.id.cmp(&namespace);
        by_namespace.then_with(|| self.tags.cmp(tags))
    }
}

impl Groups {
    /// The group of these, for an entry that is about to be counted in.
    pub(super) fn of(&self, namespace: &Arc<Namespace>, tags: Tags) -> Arc<Group> {
        match self.0.find(|one| one.cmp(namespace.id, &tags)) {
            Some(found) => found.clone(),
            None => Arc::new(Group {
                namespace: namespace.clone(),
                weight: u32::try_from(weight(&tags)).unwrap_or(u32::MAX),
                tags,
                entries: AtomicUsize::default(),
            }),
        }
    }

    pub(super) fn entry_came(&mut self, group: &Arc<Group>) {
        if group.entries.fetch_add(1, Relaxed) == 0 {
            let order = |one: &Arc<Group>| one.cmp(group.namespace.id, &group.tags);
            self.0.insert(group.clone(), order);
        }
    }

    pub(super) fn entry_went(&mut self, group: &Arc<Group>) {
        if group.entries.fetch_sub(1, Relaxed) == 1 {
            self.0
                .remove(|one| one.cmp(group.namespace.id, &group.tags));
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
        assert!(Arc::ptr_eq(&first, &second));
        groups.entry_came(&second);
        for other in [
            groups.of(&a, tags(&["x"])),
            groups.of(&b, tags(&["x", "y"])),
        ] {
            assert!(!Arc::ptr_eq(&first, &other));
        }

        groups.entry_went(&first);
        assert!(Arc::ptr_eq(&first, &groups.of(&a, tags(&["x", "y"]))));
        groups.entry_went(&first);
        assert!(groups.0.find(|_| Ordering::Equal).is_none(), "empty");
        assert!(!Arc::ptr_eq(&first, &groups.of(&a, tags(&["x", "y"]))));
    }
}
