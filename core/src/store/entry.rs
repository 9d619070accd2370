//! A stored credential: one node that everything points to, the key inline, and
//! its value with the attributes beside it.
//!
//! The value has an allocation of its own, for values are often of sizes that
//! the allocator has, and with a head they would not be.

use std::{
    cmp::Ordering,
    hash::{BuildHasher, Hasher},
    ptr,
    time::Duration,
};

use credcache_packed::Shared;

use crate::{
    model::{
        attributes::AttributesRef,
        contents::Contents,
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

/// A credential as it is kept, its key behind the head: never changed once
/// stored. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Entry(Shared<EntryHead>);

/// In this order: the labels is compared along with the key, which comes next.
#[repr(C)]
struct EntryHead {
    deadline: Deadline,
    version: Revision,
    meta: PackedMeta,
    /// Value, attributes, and if there are any the length of these.
    secret: Secret,
    labels: Labels,
}

/// The refresh lead in nanoseconds, which tier, and whether there are
/// attributes, in one word: an entry's node is to fit a size of the allocator.
#[derive(Clone, Copy)]
struct PackedMeta(u64);

/// What an entry is made of.
pub(crate) struct NewEntry<'a> {
    pub(crate) labels: Labels,
    pub(crate) key: Key<'a>,
    /// The tags of which are in the labels.
    pub(crate) contents: Contents,
    pub(crate) deadline: Deadline,
    pub(crate) refresh_lead: Duration,
    pub(crate) version: Revision,
    pub(crate) tier: TierId,
}

/// A name to look up, whose key may be no text: nothing is stored under one that
/// isn't, and to find out takes longer than to compare.
#[derive(Clone, Copy)]
pub(crate) struct LookupKey<'a> {
    pub(crate) namespace: &'a [u8],
    pub(crate) key: &'a [u8],
    /// The namespace's record, where it is at hand: what has it is of the
    /// namespace, and there is nothing to compare.
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

/// Bytes of a node besides its key.
const NODE: usize = size_of::<EntryHead>() + Shared::<EntryHead>::OVERHEAD;
/// Bytes of an entry's places: in quick_cache (slab slot, hash table), among the
/// names, the hint for Gets, and what is remembered of as many that were evicted.
/// Measured by `tests/memory.rs`.
const INDEX_OVERHEAD: usize = 60;
/// Bytes an entry takes besides its key, value, tags and attributes.
pub const ENTRY_OVERHEAD: usize = NODE + INDEX_OVERHEAD;

/// What an entry with a key and a secret (value and attributes) of these
/// lengths weighs, its tags not counted.
pub(crate) fn weight(key: usize, secret: u64) -> u64 {
    INDEX_OVERHEAD as u64 + alloc_size((NODE + key) as u64) + alloc_size(secret)
}

/// Feeds a name to a hasher in two parts, which it keeps apart: what is fed with a
/// namespace goes for all keys of it.
#[inline]
pub(crate) fn hash_namespace(hasher: &mut impl Hasher, namespace: &[u8]) {
    hasher.write(namespace);
}

/// The second part.
#[inline]
pub(crate) fn hash_key(hasher: &mut impl Hasher, key: &[u8]) {
    hasher.write(key);
}

impl Entry {
    pub(crate) fn new(parts: NewEntry<'_>) -> Self {
        let NewEntry {
            labels,
            key,
            contents,
            deadline,
            refresh_lead,
            version,
            tier,
        } = parts;
        let Contents {
            value,
            tags: _,
            attributes,
        } = contents;
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

    /// No credential, but something that a tier can find under a hash. Nothing
    /// is named like it where its labels's namespace is nobody's.
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

    /// The hash that it is to be found under, if it is nobody's.
    pub(crate) fn placeholder_hash(&self) -> Option<u64> {
        let bytes = self.key().try_into().ok()?;
        let is_placeholder = self.labels().namespace_name().is_empty();
        is_placeholder.then_some(u64::from_le_bytes(bytes))
    }

    #[inline]
    pub(crate) fn is_named(&self, name: &LookupKey<'_>) -> bool {
        self.key() == name.key && self.is_of(name)
    }

    #[inline]
    fn is_of(&self, name: &LookupKey<'_>) -> bool {
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

    /// The order of names: those of a namespace stand together.
    pub(crate) fn cmp_name(&self, namespace: u64, key: &[u8]) -> Ordering {
        let by_namespace = self.namespace().id.cmp(&namespace);
        by_namespace.then_with(|| self.key().cmp(key))
    }

    /// Feeds its name to a hasher.
    pub(crate) fn hash_into(&self, hasher: &mut impl Hasher) {
        hash_namespace(hasher, self.labels().namespace_name());
        hash_key(hasher, self.key());
    }

    pub(crate) fn hash(&self, hashes: &HashState) -> u64 {
        let mut hasher = hashes.build_hasher();
        self.hash_into(&mut hasher);
        hasher.finish()
    }

    /// UTF-8.
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

    /// What it takes of its tier's capacity beside what it shares, in bytes.
    pub(crate) fn weight(&self) -> u32 {
        let tags = (self.labels().tags().len() * TAG_OVERHEAD) as u64;
        let weight = weight(self.key().len(), self.0.secret.len() as u64);
        u32::try_from(weight + tags).unwrap_or(u32::MAX)
    }

    fn secret(&self) -> (&[u8], &[u8]) {
        let secret = self.0.secret.expose();
        if self.0.meta.has_attributes()
            && let Some((meta, len)) = secret.split_last_chunk()
        {
            return meta.split_at(meta.len().saturating_sub(u16::from_le_bytes(*len).into()));
        }
        (secret, &[])
    }
}

/// Value and attributes in one block.
fn with_attributes(value: Secret, attributes: &[u8]) -> Secret {
    match u16::try_from(attributes.len()) {
        Ok(len) if len > 0 => Secret::from_parts(&[value.expose(), attributes, &len.to_le_bytes()]),
        _ => value,
    }
}

impl PackedMeta {
    const TIER_BITS: u32 = 4;
    const LEAD_SHIFT: u32 = Self::TIER_BITS + 1;
    /// 18 years.
    const LONGEST_LEAD: u64 = u64::MAX >> Self::LEAD_SHIFT;

    fn new(refresh_lead: Duration, tier: TierId, has_attributes: bool) -> Self {
        let lead = u64::try_from(refresh_lead.as_nanos()).unwrap_or(u64::MAX);
        let lead = lead.min(Self::LONGEST_LEAD) << Self::LEAD_SHIFT;
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
