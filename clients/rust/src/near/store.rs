//! Where entries are kept, what they weigh, and how they lie in memory. Only this
//! file names quick_cache.
//!
//! An entry is judged as part of finding it: all that decides lies beside its key,
//! in one place, and only what passes is taken hold of.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use quick_cache::{
    DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{Credential, clock::BootInstant};

/// What an entry takes beside its own bytes: the table, the credential, the
/// counts of its handles.
const ENTRY_OVERHEAD: usize = 344;
/// What a tag takes beside its text.
const TAG_OVERHEAD: usize = size_of::<String>();
/// The most that a server may be set to store as one credential: 1 MiB of value,
/// 4 KiB of attributes and 16 tags of 128 bytes, under a key of 1 KiB.
const LARGEST: u64 = 1024 * 1024 + 5 * 1024 + (16 * (128 + TAG_OVERHEAD) + ENTRY_OVERHEAD) as u64;
/// A shard keeps nothing that takes more than 97 % of it, and says nothing.
const SMALLEST_SHARD: u64 = LARGEST * 100 / 97 + 1;
/// Keys up to here need no memory of their own: the name of a role with its
/// account, mostly.
const SHORT: usize = 46;

pub(super) struct Store(Cache<Kept, Arc<Credential>, Weight>);

/// An entry without its credential; equal to any other of its key.
pub(super) struct Kept {
    key: Key,
    pub(super) deadline: BootInstant,
    pub(super) generation: u64,
}

enum Key {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

/// An entry that is looked for: that of the key, if it is `good`.
struct Wanted<'a, F> {
    key: &'a [u8],
    good: F,
}

impl Store {
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
                Cache::with_options(options, Weight, hasher, DefaultLifecycle::default())
            }
            // Can't be: both capacities are set.
            Err(_) => Cache::with_weighter(entries.max(1), capacity, Weight),
        })
    }

    /// The credential of a key, if the entry is `good`. Nothing removes the entry
    /// while it is judged, so `good` must not touch the store.
    #[inline]
    pub(super) fn get(&self, key: &str, good: impl Fn(&Kept) -> bool) -> Option<Arc<Credential>> {
        self.0.get(&Wanted::new(key, good))
    }

    /// [`get`](Self::get), that doesn't count as use.
    pub(super) fn peek(&self, key: &str, good: impl Fn(&Kept) -> bool) -> Option<Arc<Credential>> {
        self.0.peek(&Wanted::new(key, good))
    }

    /// Takes the place of what was kept of the key.
    pub(super) fn keep(&self, key: &str, credential: &Arc<Credential>, generation: u64) {
        // Whether an insert over an entry takes over the new key or leaves the old
        // one, whose deadline is another's, is for quick_cache to change.
        self.remove_if(key, |_| true);
        let kept = Kept {
            key: Key::new(key),
            deadline: credential.deadline,
            generation,
        };
        self.0.insert(kept, Arc::clone(credential));
    }

    pub(super) fn remove_if(&self, key: &str, gone: impl Fn(&Credential) -> bool) {
        let wanted = Wanted::new(key, |_| true);
        self.0.remove_if(&wanted, |credential| gone(credential));
    }

    pub(super) fn retain(&self, stays: impl Fn(&Kept, &Credential) -> bool) {
        self.0.retain(|kept, credential| stays(kept, credential));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.0.weight()
    }
}

impl Kept {
    pub(super) fn starts_with(&self, prefix: &str) -> bool {
        self.key.bytes().starts_with(prefix.as_bytes())
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.key.bytes() == other.key.bytes()
    }
}

impl Eq for Kept {}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.key.bytes());
    }
}

impl Key {
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

impl<'a, F> Wanted<'a, F> {
    fn new(key: &'a str, good: F) -> Self
    where
        F: Fn(&Kept) -> bool,
    {
        let key = key.as_bytes();
        Self { key, good }
    }
}

impl<F: Fn(&Kept) -> bool> Equivalent<Kept> for Wanted<'_, F> {
    #[inline]
    fn equivalent(&self, kept: &Kept) -> bool {
        *self.key == *kept.key.bytes() && (self.good)(kept)
    }
}

impl<F> Hash for Wanted<'_, F> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.key);
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Kept, Arc<Credential>> for Weight {
    fn weight(&self, kept: &Kept, credential: &Arc<Credential>) -> u64 {
        let attributes: usize = credential
            .attributes
            .iter()
            .map(|(name, text)| name.len() + text.len())
            .sum();
        let tags = credential.tags.iter().map(|tag| tag.len() + TAG_OVERHEAD);
        let own = kept.key.bytes().len() + credential.value.expose().len() + attributes;
        let own = own + tags.sum::<usize>();
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
            let store = Store::new(capacity);
            store.keep(&key, &largest(), 1);
            assert!(store.get(&key, |_| true).is_some(), "{capacity}");
            store.keep("other", &largest(), 1);
            assert!(store.get("other", |_| true).is_some(), "{capacity}");
        }
    }
}
