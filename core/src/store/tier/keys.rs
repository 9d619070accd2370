//! The keys that quick_cache stores, and the keys that entries are looked up by.

use std::{
    cell::Cell,
    hash::{BuildHasher, Hash, Hasher},
};

use quick_cache::Equivalent;

use crate::{
    model::revision::Revision,
    store::entry::{Entry, LookupKey},
    sync::HashState,
};

/// An entry as its own key, so that the name isn't stored twice.
pub(super) struct StoredKey(pub(super) Entry);

impl Hash for StoredKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0.placeholder_hash() {
            Some(hash) => state.write_u64(hash),
            None => SameEntry(&self.0).hash(state),
        }
    }
}

impl PartialEq for StoredKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.has_name_of(&other.0)
    }
}

impl Eq for StoredKey {}

/// A lookup by name that reads the entry in place. Its hash is computed once for all tiers.
pub(super) struct InPlaceRead<'a, R, F> {
    hash: u64,
    /// Borrowed, because a copy would stall: the name was written just now in units of other sizes
    /// than a copy reads.
    name: &'a LookupKey<'a>,
    /// Called while the shard is locked. quick_cache returns values only, so the entry, which is a
    /// key, is read when it is compared.
    read: Cell<Option<&'a mut F>>,
    result: Cell<Option<R>>,
}

impl<'a, R, F> InPlaceRead<'a, R, F> {
    pub(super) fn new(hash: u64, name: &'a LookupKey<'a>, read: &'a mut F) -> Self {
        Self {
            hash,
            name,
            read: Cell::new(Some(read)),
            result: Cell::new(None),
        }
    }

    /// The result of `read`, if the entry was found.
    pub(super) fn result(self) -> Option<R> {
        self.result.into_inner()
    }
}

impl<R, F> Hash for InPlaceRead<'_, R, F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<R, F: FnMut(&Entry) -> R> Equivalent<StoredKey> for InPlaceRead<'_, R, F> {
    #[inline]
    fn equivalent(&self, stored: &StoredKey) -> bool {
        let matches = stored.0.is_named(self.name);
        if matches && let Some(read) = self.read.take() {
            self.result.set(Some(read(&stored.0)));
        }
        matches
    }
}

/// Matches exactly one entry, and no other entry with the same name.
pub(super) struct SameEntry<'a>(pub(super) &'a Entry);

impl Hash for SameEntry<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

impl Equivalent<StoredKey> for SameEntry<'_> {
    fn equivalent(&self, stored: &StoredKey) -> bool {
        self.0.version() == stored.0.version()
    }
}

/// Like [`SameEntry`], for a caller that no longer has a handle to the entry.
pub(super) struct ByVersion {
    pub(super) hash: u64,
    pub(super) version: Revision,
}

impl Hash for ByVersion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<StoredKey> for ByVersion {
    fn equivalent(&self, stored: &StoredKey) -> bool {
        self.version == stored.0.version()
    }
}

/// Selects a shard by hash, and matches nothing.
pub(super) struct ByHash(pub(super) u64);

impl Hash for ByHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Equivalent<StoredKey> for ByHash {
    fn equivalent(&self, _: &StoredKey) -> bool {
        false
    }
}

/// Hashes names. A single `u64` is the hash of a name that was hashed before, and passes through
/// unchanged.
#[derive(Clone)]
pub(crate) struct NameHashes<S = HashState>(pub(crate) S);

pub(crate) struct NameHasher<H> {
    of_name: H,
    known: Option<u64>,
}

impl<S: BuildHasher> BuildHasher for NameHashes<S> {
    type Hasher = NameHasher<S::Hasher>;

    fn build_hasher(&self) -> Self::Hasher {
        NameHasher {
            of_name: self.0.build_hasher(),
            known: None,
        }
    }
}

impl<H: Hasher> Hasher for NameHasher<H> {
    fn write(&mut self, bytes: &[u8]) {
        self.of_name.write(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.known = Some(hash);
    }

    fn finish(&self) -> u64 {
        self.known.unwrap_or_else(|| self.of_name.finish())
    }
}
