//! What entries share: their namespace and their tags, kept once for all the
//! entries of a stripe and tier that have the same.
//!
//! A record is there for as long as an entry of the index has it: tags that
//! nothing has any more take no memory. It counts towards the tier, and not
//! towards an entry: whichever had it on its account might go, and the record
//! stay with others.

use std::{
    cmp::Ordering,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use credcache_packed::Shared;

use crate::{
    btree::Tree,
    model::{name::MAX_NAMESPACE, tags::Tags, tier_spec::TierId},
    store::{alloc_size::alloc_size, namespaces::Namespace},
    sync::{AtomicU64, AtomicUsize},
};

/// A clone is the same one.
#[derive(Clone)]
pub(crate) struct Group(Shared<Head>);

/// The namespace's name stands behind it: each Get compares it.
struct Head {
    namespace: Arc<Namespace>,
    tags: Tags,
    /// How many entries of the index have it; changes under the stripe's lock.
    entries: AtomicUsize,
    weight: u32,
    tier: TierId,
}

/// The groups of a stripe that entries have. No hash table: those of tags that
/// come and go would be twice as large as what they hold.
#[derive(Default)]
pub(crate) struct Groups(Tree<Group, ()>);

/// How many bytes the groups take that a tier's entries have, in all stripes;
/// a figure for each tier.
#[derive(Clone)]
pub(crate) struct SharedBytes(Arc<[AtomicU64]>);

/// Bytes that a group takes besides its own: its place among the others.
/// Measured by `tests/memory.rs`.
const GROUP_PLACES: u64 = 8;
/// Bytes that an entry takes for each of its tags: its place under it. Measured
/// by `tests/memory.rs`.
pub const TAG_PLACE: usize = 7;

/// What a group with these tags takes.
fn weight(namespace: &str, tags: &Tags) -> u64 {
    let texts = tags.iter().map(|tag| alloc_size(tag.len() as u64));
    own_weight(namespace.len(), tags.len()) + texts.sum::<u64>()
}

/// The most that a group of `tags` tags of up to `len` bytes can take.
pub(crate) const fn largest_weight(tags: usize, len: usize) -> u64 {
    own_weight(MAX_NAMESPACE, tags) + tags as u64 * alloc_size(len as u64)
}

const fn own_weight(namespace: usize, tags: usize) -> u64 {
    let own = Shared::<Head>::OVERHEAD + size_of::<Head>() + namespace;
    GROUP_PLACES + alloc_size(own as u64) + alloc_size((tags * size_of::<Box<str>>()) as u64)
}

impl SharedBytes {
    pub(crate) fn new(tiers: usize) -> Self {
        Self((0..tiers).map(|_| AtomicU64::default()).collect())
    }

    pub(crate) fn of(&self, tier: TierId) -> u64 {
        self.0[tier.index()].load(Relaxed)
    }

    pub(crate) fn add(&self, tier: TierId, bytes: u64) {
        self.0[tier.index()].fetch_add(bytes, Relaxed);
    }

    pub(crate) fn sub(&self, tier: TierId, bytes: u64) {
        self.0[tier.index()].fetch_sub(bytes, Relaxed);
    }
}

impl Group {
    pub(crate) fn namespace(&self) -> &Arc<Namespace> {
        &self.0.namespace
    }

    pub(crate) fn namespace_name(&self) -> &[u8] {
        self.0.bytes()
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.0.tags
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }

    fn cmp(&self, namespace: u64, tags: &Tags, tier: TierId) -> Ordering {
        let by_namespace = self.namespace().id.cmp(&namespace);
        by_namespace
            .then_with(|| self.0.tier.cmp(&tier))
            .then_with(|| self.tags().cmp(tags))
    }

    fn cmp_group(&self, other: &Self) -> Ordering {
        self.cmp(other.namespace().id, other.tags(), other.0.tier)
    }
}

impl Groups {
    /// The group of these, for an entry that is about to be counted in.
    pub(crate) fn of(&self, namespace: &Arc<Namespace>, tags: Tags, tier: TierId) -> Group {
        if let Some(found) = self.0.find(|one| one.cmp(namespace.id, &tags, tier)) {
            return found.clone();
        }
        let head = Head {
            namespace: namespace.clone(),
            weight: u32::try_from(weight(&namespace.name, &tags)).unwrap_or(u32::MAX),
            tags,
            entries: AtomicUsize::default(),
            tier,
        };
        Group(Shared::new(head, namespace.name.as_bytes()))
    }

    /// How many bytes the group takes that came with the entry: none if others
    /// have it already.
    pub(crate) fn entry_came(&mut self, group: &Group) -> u64 {
        if group.0.entries.fetch_add(1, Relaxed) > 0 {
            return 0;
        }
        self.0.insert(group.clone(), |one| one.cmp_group(group));
        group.0.weight.into()
    }

    /// How many bytes the group takes that went with the entry.
    pub(crate) fn entry_went(&mut self, group: &Group) -> u64 {
        if group.0.entries.fetch_sub(1, Relaxed) > 1 {
            return 0;
        }
        self.0.remove(|one| one.cmp_group(group));
        group.0.weight.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::name::{NamespaceName, Tag},
        store::namespaces::Namespaces,
    };

    fn tags(texts: &[&str]) -> Tags {
        Tags::new(texts.iter().map(|text| Tag::parse(text).expect("a tag"))).expect("few")
    }

    #[test]
    fn entries_of_one_namespace_tags_and_tier_share_them_until_the_last_is_gone() {
        let namespaces = Namespaces::new(2, 1);
        let [a, b] = ["a", "b"].map(|name| {
            let name = NamespaceName::parse(name).expect("a namespace");
            namespaces.find_or_create(name).expect("room")
        });
        let [short, long] = [0, 1].map(TierId::new);
        let mut groups = Groups::default();
        let first = groups.of(&a, tags(&["x", "y"]), short);
        let weight = groups.entry_came(&first);
        assert!(weight > 100, "{weight} bytes");
        let second = groups.of(&a, tags(&["y", "x"]), short);
        assert!(first.is_same(&second));
        assert_eq!(groups.entry_came(&second), 0, "it is there already");
        for other in [
            groups.of(&a, tags(&["x"]), short),
            groups.of(&b, tags(&["x", "y"]), short),
            groups.of(&a, tags(&["x", "y"]), long),
        ] {
            assert!(!first.is_same(&other));
        }

        assert_eq!(groups.entry_went(&first), 0, "another has it");
        assert!(first.is_same(&groups.of(&a, tags(&["x", "y"]), short)));
        assert_eq!(groups.entry_went(&first), weight);
        assert!(groups.0.find(|_| Ordering::Equal).is_none(), "empty");
        assert!(!first.is_same(&groups.of(&a, tags(&["x", "y"]), short)));
    }
}
