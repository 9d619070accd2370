//! Labels: the namespace and the tags of entries, stored once for all entries of a stripe and tier
//! that have the same.
//!
//! Labels exist as long as an entry in the index has them, so unused tags take no memory. Their
//! weight counts towards the tier instead of an entry: an entry that was charged for the labels
//! could be evicted while other entries keep them.

use std::{
    cmp::Ordering,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use credcache_packed::Shared;

use crate::{
    btree::Tree,
    model::{name::MAX_NAMESPACE, tags::Tags, tier_spec::TierId},
    store::{alloc_size::alloc_size, namespaces::NamespaceRecord},
    sync::{AtomicU64, AtomicUsize},
};

/// A handle to shared labels. A clone is another handle to the same labels.
#[derive(Clone)]
pub(crate) struct Labels(Shared<LabelsHead>);

/// The namespace's name follows the header in memory, because each Get compares it.
struct LabelsHead {
    namespace: Arc<NamespaceRecord>,
    tags: Tags,
    /// How many entries of the index have these labels. Changes only under the stripe's lock.
    entries: AtomicUsize,
    weight: u32,
    tier: TierId,
}

/// The labels that the entries of a stripe have. This is a tree because a hash table in which
/// labels come and go would be twice as large as its content.
#[derive(Default)]
pub(crate) struct LabelSets(Tree<Labels, ()>);

/// The bytes that the labels of each tier's entries take, in all stripes together.
#[derive(Clone)]
pub(crate) struct SharedBytes(Arc<[AtomicU64]>);

/// Bytes that labels take in their tree. Measured by `tests/memory.rs`.
const LABELS_OVERHEAD: u64 = 8;
/// Bytes that an entry takes in the index for each of its tags. Measured by `tests/memory.rs`.
pub const TAG_OVERHEAD: usize = 7;

/// The weight of labels with these tags.
fn weight(namespace: &str, tags: &Tags) -> u64 {
    let texts = tags.iter().map(|tag| alloc_size(tag.len() as u64));
    own_weight(namespace.len(), tags.len()) + texts.sum::<u64>()
}

/// The greatest weight of labels with `tags` tags of up to `len` bytes.
pub(crate) const fn largest_weight(tags: usize, len: usize) -> u64 {
    own_weight(MAX_NAMESPACE, tags) + tags as u64 * alloc_size(len as u64)
}

const fn own_weight(namespace: usize, tags: usize) -> u64 {
    let own = Shared::<LabelsHead>::OVERHEAD + size_of::<LabelsHead>() + namespace;
    LABELS_OVERHEAD + alloc_size(own as u64) + alloc_size((tags * size_of::<Box<str>>()) as u64)
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
        let shared = self.0[tier.index()].fetch_sub(bytes, Relaxed);
        debug_assert!(shared >= bytes, "more went than came");
    }
}

impl Labels {
    pub(crate) fn namespace(&self) -> &Arc<NamespaceRecord> {
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

    fn cmp_labels(&self, other: &Self) -> Ordering {
        self.cmp(other.namespace().id, other.tags(), other.0.tier)
    }
}

impl LabelSets {
    /// Returns the labels for an entry that is about to be inserted: existing labels, or new ones.
    pub(crate) fn of(&self, namespace: &Arc<NamespaceRecord>, tags: Tags, tier: TierId) -> Labels {
        if let Some(found) = self.0.find(|other| other.cmp(namespace.id, &tags, tier)) {
            return found.clone();
        }
        let head = LabelsHead {
            namespace: namespace.clone(),
            weight: u32::try_from(weight(&namespace.name, &tags)).unwrap_or(u32::MAX),
            tags,
            entries: AtomicUsize::default(),
            tier,
        };
        Labels(Shared::new(head, namespace.name.as_bytes()))
    }

    /// Counts an entry that was added. Returns how many bytes its labels added: 0 if other entries
    /// have the same labels.
    pub(crate) fn entry_added(&mut self, labels: &Labels) -> u64 {
        if labels.0.entries.fetch_add(1, Relaxed) > 0 {
            return 0;
        }
        self.0
            .insert(labels.clone(), |other| other.cmp_labels(labels));
        labels.0.weight.into()
    }

    /// Counts an entry that was removed. Returns how many bytes its labels freed: 0 if other
    /// entries have the same labels.
    pub(crate) fn entry_removed(&mut self, labels: &Labels) -> u64 {
        let entries = labels.0.entries.fetch_sub(1, Relaxed);
        debug_assert!(entries >= 1, "no entry has these labels");
        if entries > 1 {
            return 0;
        }
        let removed = self.0.remove(|other| other.cmp_labels(labels));
        debug_assert!(removed.is_some(), "the labels weren't there");
        labels.0.weight.into()
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
        let mut label_sets = LabelSets::default();
        let first = label_sets.of(&a, tags(&["x", "y"]), short);
        let weight = label_sets.entry_added(&first);
        assert!(weight > 100, "{weight} bytes");
        let second = label_sets.of(&a, tags(&["y", "x"]), short);
        assert!(first.is_same(&second));
        assert_eq!(label_sets.entry_added(&second), 0, "it is there already");
        for other in [
            label_sets.of(&a, tags(&["x"]), short),
            label_sets.of(&b, tags(&["x", "y"]), short),
            label_sets.of(&a, tags(&["x", "y"]), long),
        ] {
            assert!(!first.is_same(&other));
        }

        assert_eq!(label_sets.entry_removed(&first), 0, "another has it");
        assert!(first.is_same(&label_sets.of(&a, tags(&["x", "y"]), short)));
        assert_eq!(label_sets.entry_removed(&first), weight);
        assert!(label_sets.0.find(|_| Ordering::Equal).is_none(), "empty");
        assert!(!first.is_same(&label_sets.of(&a, tags(&["x", "y"]), short)));
    }
}
