//! The names whose credentials were revoked lately, so that a miss can say why.
//!
//! For the reason only: what holds revoked credentials off is the change log's. So
//! the oldest is simply forgotten when there is no room.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::HashTable;

use crate::{model::name::Name, store::entry::Entry};

/// How many names a stripe remembers: in all stripes 16,384, which is 16 MiB if
/// every key is as long as it may be.
const REMEMBERED: usize = 256;

#[derive(Default)]
pub(crate) struct Tombstones {
    names: HashTable<Tombstone>,
    /// Hash and number of each, oldest first; of some that are gone as well.
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
        if self.order.len() == REMEMBERED
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
        self.names.find(hash, |one| one.is_named(name)).is_some()
    }

    /// The name holds something again.
    pub(crate) fn forget(&mut self, hash: u64, name: Name<'_>) {
        self.remove(hash, |one| one.is_named(name));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn remove(&mut self, hash: u64, is_it: impl FnMut(&Tombstone) -> bool) {
        if let Ok(found) = self.names.find_entry(hash, is_it) {
            found.remove();
        }
    }
}

impl Tombstone {
    fn is_named(&self, name: Name<'_>) -> bool {
        *self.key == *name.key.as_str().as_bytes() && *self.namespace == *name.namespace.as_str()
    }
}
