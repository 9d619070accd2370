//! Where entries are stored, what they weigh, and how they lie in memory. Only this
//! file names quick_cache.
//!
//! Whether an entry may be used is decided as part of finding it: all that decides
//! lies beside its key, and only a usable entry's credential is cloned.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use quick_cache::{
    DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{
    clock::BootInstant,
    credential::{Credential, TAG_OVERHEAD},
};

/// What an entry takes beside its own bytes: the table, the credential, the
/// counts of its handles.
const ENTRY_OVERHEAD: usize = 344;
/// The largest credential that a server may be set to store: 1 MiB of value, 4 KiB of
/// attributes and 16 tags of 128 bytes, under a key of 1 KiB.
const LARGEST: u64 = 1024 * 1024 + 5 * 1024 + (16 * (128 + TAG_OVERHEAD) + ENTRY_OVERHEAD) as u64;
/// A shard silently refuses an entry that takes more than 97 % of it.
const SMALLEST_SHARD: u64 = LARGEST * 100 / 97 + 1;
/// Keys up to this length need no memory of their own: mostly the name of a role
/// with its account.
const SHORT: usize = 46;

pub(super) struct EntryStore(Cache<Cached, Arc<Credential>, EntryWeight>);

/// A cached entry without its credential; equal to any other entry of its key.
pub(super) struct Cached {
    key: EntryKey,
    pub(super) deadline: BootInstant,
    pub(super) generation: u64,
}

enum EntryKey {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

/// A key that is looked up, whose entry counts only if it is `usable`.
struct LookupKey<'a, F> {
    key: &'a [u8],
    usable: F,
}

impl EntryStore {
    /// Room for `capacity` bytes.
    pub(super) fn new(capacity: u64) -> Self {
        let shards = std::thread::available_parallelism().map_or(4, |cores| cores.get() * 4);
        let shards = (capacity / SMALLEST_SHARD).clamp(1, shards.try_into().unwrap_or(u64::MAX));
        // Rounded down to a power of two, for it is rounded up.
        let shards = 1 << shards.ilog2();
        let entries = usize::try_from(capacity / 1024).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(entries.max(1))
            .weight_capacity(capacity)
            .build();
        let hasher = DefaultHashBuilder::default();
        Self(match options {
            Ok(options) => {
                Cache::with_options(options, EntryWeight, hasher, DefaultLifecycle::default())
            }
            // Can't be: both capacities are set.
            Err(_) => Cache::with_weighter(entries.max(1), capacity, EntryWeight),
        })
    }

    /// The credential of a key, if its entry is `usable`. Nothing removes the entry
    /// meanwhile, so `usable` must not touch the store.
    #[inline]
    pub(super) fn get(
        &self,
        key: &str,
        usable: impl Fn(&Cached) -> bool,
    ) -> Option<Arc<Credential>> {
        self.0.get(&LookupKey::new(key, usable))
    }

    /// Like [`get`](Self::get), but doesn't count as a use.
    pub(super) fn peek(
        &self,
        key: &str,
        usable: impl Fn(&Cached) -> bool,
    ) -> Option<Arc<Credential>> {
        self.0.peek(&LookupKey::new(key, usable))
    }

    /// Stores a credential in place of what was cached under the key.
    pub(super) fn insert(&self, key: &str, credential: &Arc<Credential>, generation: u64) {
        // Whether an insert over an entry takes over the new key or leaves the old
        // one, whose deadline is another's, is for quick_cache to change.
        self.remove_if(key, |_| true);
        let cached = Cached {
            key: EntryKey::new(key),
            deadline: credential.deadline,
            generation,
        };
        self.0.insert(cached, Arc::clone(credential));
    }

    pub(super) fn remove_if(&self, key: &str, gone: impl Fn(&Credential) -> bool) {
        let wanted = LookupKey::new(key, |_| true);
        self.0.remove_if(&wanted, |credential| gone(credential));
    }

    pub(super) fn retain(&self, stays: impl Fn(&Cached, &Credential) -> bool) {
        self.0
            .retain(|cached, credential| stays(cached, credential));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.0.weight()
    }
}

impl Cached {
    pub(super) fn starts_with(&self, prefix: &str) -> bool {
        self.key.bytes().starts_with(prefix.as_bytes())
    }
}

impl PartialEq for Cached {
    fn eq(&self, other: &Self) -> bool {
        self.key.bytes() == other.key.bytes()
    }
}

impl Eq for Cached {}

impl Hash for Cached {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.key.bytes());
    }
}

impl EntryKey {
    fn new(key: &str) -> Self {
        let key = key.as_bytes();
        let mut short = [0; SHORT];
        match (u8::try_from(key.len()), short.get_mut(..key.len())) {
            (Ok(length), Some(bytes)) => {
                bytes.copy_from_slice(key);
                Self::Short(length, short)
            }
            _ => Self::Long(key.into()),
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, short) => &short[..usize::from(*length)],
            Self::Long(long) => long,
        }
    }
}

impl<'a, F> LookupKey<'a, F> {
    fn new(key: &'a str, usable: F) -> Self
    where
        F: Fn(&Cached) -> bool,
    {
        let key = key.as_bytes();
        Self { key, usable }
    }
}

impl<F: Fn(&Cached) -> bool> Equivalent<Cached> for LookupKey<'_, F> {
    #[inline]
    fn equivalent(&self, cached: &Cached) -> bool {
        *self.key == *cached.key.bytes() && (self.usable)(cached)
    }
}

impl<F> Hash for LookupKey<'_, F> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.key);
    }
}

#[derive(Clone)]
struct EntryWeight;

impl Weighter<Cached, Arc<Credential>> for EntryWeight {
    fn weight(&self, cached: &Cached, credential: &Arc<Credential>) -> u64 {
        let own = cached.key.bytes().len() + credential.size();
        (own + ENTRY_OVERHEAD).try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn largest() -> Arc<Credential> {
        let mut credential = Credential::until(
            Secret::new(vec![7; 1024 * 1024]),
            BootInstant::from_nanos(u64::MAX),
        );
        credential
            .attributes
            .insert("name".into(), "x".repeat(4 * 1024 - 4));
        credential.tags = (10..26)
            .map(|nth| format!("{nth}{}", "t".repeat(126)))
            .collect();
        Arc::new(credential)
    }

    // Found when a shard was half as large as what a server may be set to store.
    #[test]
    fn credential_of_the_largest_size_is_kept() {
        let key = "k".repeat(1024);
        for capacity in [SMALLEST_SHARD, 2 << 20, 3 << 20, 16 << 20, 100 << 20] {
            let store = EntryStore::new(capacity);
            store.insert(&key, &largest(), 1);
            assert!(store.get(&key, |_| true).is_some(), "{capacity}");
            store.insert("other", &largest(), 1);
            assert!(store.get("other", |_| true).is_some(), "{capacity}");
        }
    }
}
