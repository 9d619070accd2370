//! Tombstones: the names of recently revoked credentials, so that a miss can report why.
//!
//! Tombstones serve only that report; the fences of the change log keep revoked credentials out. So
//! the oldest tombstone is simply dropped when there is no room.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::HashTable;

use crate::{model::name::Name, store::entry::Entry};

/// The most tombstones of a stripe. All stripes together have up to 16,384, which take 16 MiB if
/// every key has the maximum length.
const CAPACITY: usize = 256;

#[derive(Default)]
pub(crate) struct Tombstones {
    names: HashTable<Tombstone>,
    /// Hash and number of each tombstone, oldest first. Some of these tombstones may be removed
    /// already.
    order: VecDeque<(u64, u64)>,
    numbers: u64,
}

struct Tombstone {
    hash: u64,
    number: u64,
    namespace: Arc<str>,
    /// UTF-8.
    key: Box<[u8]>,
}

impl Tombstones {
    pub(crate) fn remember(&mut self, hash: u64, entry: &Entry) {
        if self.order.len() == CAPACITY
            && let Some((oldest, number)) = self.order.pop_front()
        {
            self.remove(oldest, |tombstone| tombstone.number == number);
        }
        self.remove(hash, |tombstone| {
            *tombstone.key == *entry.key() && tombstone.namespace == entry.namespace().name
        });
        self.numbers += 1;
        let tombstone = Tombstone {
            hash,
            number: self.numbers,
            namespace: entry.namespace().name.clone(),
            key: entry.key().into(),
        };
        self.order.push_back((hash, self.numbers));
        self.names
            .insert_unique(hash, tombstone, |tombstone| tombstone.hash);
    }

    pub(crate) fn contains(&self, hash: u64, name: Name<'_>) -> bool {
        self.names
            .find(hash, |tombstone| tombstone.is_named(name))
            .is_some()
    }

    /// Removes the tombstone because the name holds a credential again.
    pub(crate) fn forget(&mut self, hash: u64, name: Name<'_>) {
        self.remove(hash, |tombstone| tombstone.is_named(name));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn remove(&mut self, hash: u64, matches: impl FnMut(&Tombstone) -> bool) {
        if let Ok(found) = self.names.find_entry(hash, matches) {
            found.remove();
        }
    }
}

impl Tombstone {
    fn is_named(&self, name: Name<'_>) -> bool {
        *self.key == *name.key.as_str().as_bytes() && *self.namespace == *name.namespace.as_str()
    }
}
