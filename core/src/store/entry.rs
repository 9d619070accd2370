//! A stored credential: one shared node with the key inline, and the value and attributes in an
//! allocation of their own.
//!
//! Values are often of a length that is one of the allocator's size classes. With a header in the
//! same allocation, they would need the next larger class.

use std::{
    cmp::Ordering,
    hash::{BuildHasher, Hasher},
    ptr,
    time::Duration,
};

use credcache_packed::Shared;

use crate::{
    model::{
        attributes::{Attributes, AttributesRef},
        name::{Key, Name},
        revision::Revision,
        secret::Secret,
        tier_spec::TierId,
        time::Deadline,
    },
    store::{
        alloc_size::alloc_size,
        labels::{Labels, TAG_OVERHEAD},
        namespaces::NamespaceRecord,
    },
    sync::HashState,
};

/// A stored credential: a header with the key behind it. It never changes once it is stored. A
/// clone is another handle to the same entry.
#[derive(Clone)]
pub(crate) struct Entry(Shared<EntryHead>);

/// The fields are in this order because the labels are compared together with the key, which
/// follows them.
#[repr(C)]
struct EntryHead {
    deadline: Deadline,
    version: Revision,
    meta: PackedMeta,
    /// Value, then attributes, then the length of the attributes if there are any.
    secret: Secret,
    labels: Labels,
}

/// The refresh lead in nanoseconds, the tier, and whether there are attributes, in one word. It is
/// packed so that an entry's node fits one of the allocator's size classes.
#[derive(Clone, Copy)]
struct PackedMeta(u64);

/// The parts of a new entry.
pub(crate) struct NewEntry<'a> {
    pub(crate) labels: Labels,
    pub(crate) key: Key<'a>,
    pub(crate) value: Secret,
    pub(crate) attributes: Attributes,
    pub(crate) deadline: Deadline,
    pub(crate) refresh_lead: Duration,
    pub(crate) version: Revision,
    pub(crate) tier: TierId,
}

/// A name to look up. The key may be invalid UTF-8: no entry has such a key, and validating takes
/// longer than comparing.
#[derive(Clone, Copy)]
pub(crate) struct LookupKey<'a> {
    pub(crate) namespace: &'a [u8],
    pub(crate) key: &'a [u8],
    /// The namespace's record, if the caller has it. An entry with the same record belongs to the
    /// namespace, which saves comparing the names.
    pub(crate) record: Option<&'a NamespaceRecord>,
}

impl<'a> From<Name<'a>> for LookupKey<'a> {
    fn from(name: Name<'a>) -> Self {
        Self {
            namespace: name.namespace.as_str().as_bytes(),
            key: name.key.as_str().as_bytes(),
            record: None,
        }
    }
}

/// Bytes of a node in addition to its key.
const NODE: usize = size_of::<EntryHead>() + Shared::<EntryHead>::OVERHEAD;
/// Bytes that an entry takes in the index structures: in quick_cache (slab slot and hash table), in
/// the tree of names, in the tier hints, and in the ghosts of as many evicted entries. Measured by
/// `tests/memory.rs`.
const INDEX_OVERHEAD: usize = 60;
/// Bytes that an entry takes in addition to its key, value, tags and attributes.
pub const ENTRY_OVERHEAD: usize = NODE + INDEX_OVERHEAD;

/// The weight of an entry whose key and secret (value and attributes) have these lengths, without
/// its tags.
pub(crate) fn weight(key: usize, secret: u64) -> u64 {
    INDEX_OVERHEAD as u64 + alloc_size((NODE + key) as u64) + alloc_size(secret)
}

/// Feeds the namespace to a hasher. The hasher keeps namespace and key apart, so the state after
/// the namespace can be reused for all keys of the namespace.
#[inline]
pub(crate) fn hash_namespace(hasher: &mut impl Hasher, namespace: &[u8]) {
    hasher.write(namespace);
}

/// Feeds the key to a hasher, after the namespace.
#[inline]
pub(crate) fn hash_key(hasher: &mut impl Hasher, key: &[u8]) {
    hasher.write(key);
}

impl Entry {
    pub(crate) fn new(new: NewEntry<'_>) -> Self {
        let NewEntry {
            labels,
            key,
            value,
            attributes,
            deadline,
            refresh_lead,
            version,
            tier,
        } = new;
        let attributes = attributes.encoded();
        let head = EntryHead {
            deadline,
            version,
            labels,
            meta: PackedMeta::new(refresh_lead, tier, !attributes.is_empty()),
            secret: with_attributes(value, attributes),
        };
        Self(Shared::new(head, key.as_str().as_bytes()))
    }

    /// A placeholder, which a tier can find under `hash`. It isn't a credential, and no name
    /// matches it, because the namespace of its labels has an empty name.
    pub(crate) fn placeholder(labels: Labels, hash: u64) -> Self {
        let head = EntryHead {
            deadline: Deadline::NEVER,
            version: Revision::NONE,
            meta: PackedMeta(0),
            secret: Secret::from_parts(&[]),
            labels,
        };
        Self(Shared::new(head, &hash.to_le_bytes()))
    }

    /// The hash to find a placeholder under; `None` for a credential.
    pub(crate) fn placeholder_hash(&self) -> Option<u64> {
        let bytes = self.key().try_into().ok()?;
        let is_placeholder = self.labels().namespace_name().is_empty();
        is_placeholder.then_some(u64::from_le_bytes(bytes))
    }

    #[inline]
    pub(crate) fn is_named(&self, name: &LookupKey<'_>) -> bool {
        self.key() == name.key && self.is_in_namespace(name)
    }

    #[inline]
    fn is_in_namespace(&self, name: &LookupKey<'_>) -> bool {
        let labels = self.labels();
        let is_known = name
            .record
            .is_some_and(|record| ptr::eq(record, &**labels.namespace()));
        is_known || labels.namespace_name() == name.namespace
    }

    pub(crate) fn has_name_of(&self, other: &Self) -> bool {
        self.key() == other.key()
            && self.labels().namespace_name() == other.labels().namespace_name()
    }

    /// The order of names: first by namespace, then by key.
    pub(crate) fn cmp_name(&self, namespace: u64, key: &[u8]) -> Ordering {
        let by_namespace = self.namespace().id.cmp(&namespace);
        by_namespace.then_with(|| self.key().cmp(key))
    }

    /// Feeds the name of the entry to a hasher.
    pub(crate) fn hash_into(&self, hasher: &mut impl Hasher) {
        hash_namespace(hasher, self.labels().namespace_name());
        hash_key(hasher, self.key());
    }

    pub(crate) fn hash(&self, hashes: &HashState) -> u64 {
        let mut hasher = hashes.build_hasher();
        self.hash_into(&mut hasher);
        hasher.finish()
    }

    /// The key, in UTF-8.
    pub(crate) fn key(&self) -> &[u8] {
        self.0.bytes()
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.0.labels
    }

    pub(crate) fn namespace(&self) -> &NamespaceRecord {
        self.labels().namespace()
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.0.deadline
    }

    pub(crate) fn version(&self) -> Revision {
        self.0.version
    }

    pub(crate) fn tier(&self) -> TierId {
        self.0.meta.tier()
    }

    pub(crate) fn refresh_lead(&self) -> Duration {
        self.0.meta.refresh_lead()
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.secret().0
    }

    pub(crate) fn attributes(&self) -> AttributesRef<'_> {
        AttributesRef::new(self.secret().1)
    }

    /// The weight that counts towards the tier's capacity, in bytes, without the labels that are
    /// shared.
    pub(crate) fn weight(&self) -> u32 {
        let tags = (self.labels().tags().len() * TAG_OVERHEAD) as u64;
        let weight = weight(self.key().len(), self.0.secret.len() as u64);
        u32::try_from(weight + tags).unwrap_or(u32::MAX)
    }

    fn secret(&self) -> (&[u8], &[u8]) {
        let secret = self.0.secret.expose();
        if self.0.meta.has_attributes()
            && let Some((content, len)) = secret.split_last_chunk()
        {
            return content.split_at(
                content
                    .len()
                    .saturating_sub(u16::from_le_bytes(*len).into()),
            );
        }
        (secret, &[])
    }
}

/// Puts the value and the attributes into one block.
fn with_attributes(value: Secret, attributes: &[u8]) -> Secret {
    match u16::try_from(attributes.len()) {
        Ok(len) if len > 0 => Secret::from_parts(&[value.expose(), attributes, &len.to_le_bytes()]),
        _ => value,
    }
}

impl PackedMeta {
    const TIER_BITS: u32 = 4;
    const LEAD_SHIFT: u32 = Self::TIER_BITS + 1;
    /// About 18 years, in nanoseconds.
    const MAX_LEAD: u64 = u64::MAX >> Self::LEAD_SHIFT;

    fn new(refresh_lead: Duration, tier: TierId, has_attributes: bool) -> Self {
        let lead = u64::try_from(refresh_lead.as_nanos()).unwrap_or(u64::MAX);
        let lead = lead.min(Self::MAX_LEAD) << Self::LEAD_SHIFT;
        Self(lead | u64::from(tier.number()) << 1 | u64::from(has_attributes))
    }

    fn refresh_lead(self) -> Duration {
        Duration::from_nanos(self.0 >> Self::LEAD_SHIFT)
    }

    fn tier(self) -> TierId {
        TierId::new(self.0.to_le_bytes()[0] >> 1 & ((1 << Self::TIER_BITS) - 1))
    }

    fn has_attributes(self) -> bool {
        self.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::MAX_TIERS;

    #[test]
    fn lead_tier_and_attributes_do_not_get_in_each_others_way() {
        const { assert!(MAX_TIERS <= 1 << PackedMeta::TIER_BITS) };
        let ten_years = Duration::from_secs(10 * 366 * 24 * 3600);
        for lead in [Duration::ZERO, Duration::from_nanos(1), ten_years] {
            for tier in [0, 1, 15].map(TierId::new) {
                for has_attributes in [false, true] {
                    let meta = PackedMeta::new(lead, tier, has_attributes);
                    assert_eq!(meta.refresh_lead(), lead);
                    assert_eq!(meta.tier(), tier);
                    assert_eq!(meta.has_attributes(), has_attributes);
                }
            }
        }
        let longest = PackedMeta::new(Duration::MAX, TierId::new(3), true);
        assert_eq!(longest.tier(), TierId::new(3));
        assert!(longest.refresh_lead() > ten_years);
    }

    #[test]
    fn node_with_a_key_of_forty_bytes_fits_a_size_of_the_allocator() {
        assert_eq!(alloc_size((NODE + 40) as u64), (NODE + 40) as u64);
    }
}
