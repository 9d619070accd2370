//! The weights of a tier's items, and what may be evicted.

use quick_cache::{Lifecycle, Weighter};

use crate::store::{entry::Entry, tier::keys::StoredKey};

/// The KiB that a ballast reserves; 0 for an entry. Stored as bytes, because a field with an
/// alignment above 2 would take 8 bytes of each entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ballast([u8; 4]);

impl Ballast {
    pub(super) const NONE: Self = Self([0; 4]);

    /// A ballast of this many bytes, rounded up. It is at least 1 KiB, because 0 denotes an entry.
    pub(super) fn of(bytes: u64) -> Self {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        Self(kib.max(1).to_le_bytes())
    }

    pub(super) fn kib(self) -> u64 {
        u32::from_le_bytes(self.0).into()
    }
}

#[derive(Clone)]
pub(super) struct ByWeight;

impl Weighter<StoredKey, Ballast> for ByWeight {
    fn weight(&self, stored: &StoredKey, ballast: &Ballast) -> u64 {
        if *ballast == Ballast::NONE {
            stored.0.weight().into()
        } else {
            ballast.kib() * 1024
        }
    }
}

/// Collects evicted entries, so that they are dropped, and their memory is zeroed, after the shard
/// is unlocked.
#[derive(Clone)]
pub(super) struct Evictions;

#[derive(Default)]
pub(super) struct Evicted {
    /// New entries that were never read.
    pub(super) cold: Vec<Entry>,
    pub(super) hot: Vec<Entry>,
}

impl Lifecycle<StoredKey, Ballast> for Evictions {
    type RequestState = Evicted;

    fn is_pinned(&self, _: &StoredKey, ballast: &Ballast) -> bool {
        *ballast != Ballast::NONE
    }

    fn on_evict_cold(&self, evicted: &mut Evicted, stored: StoredKey, ballast: Ballast) {
        if ballast == Ballast::NONE {
            evicted.cold.push(stored.0);
        }
    }

    fn on_evict_hot(&self, evicted: &mut Evicted, stored: StoredKey, ballast: Ballast) {
        if ballast == Ballast::NONE {
            evicted.hot.push(stored.0);
        }
    }
}
