//! Ghosts: the hashes of recently evicted entries that were never read. An entry that returns soon
//! is wanted more often than its first stay could show.
//!
//! quick_cache can remember ghosts itself, half as many as the entries that it is told to expect.
//! But a tier can't know what its entries will weigh. When entries had a sixth of the expected
//! weight, so few ghosts were remembered that a loop never hit. When they had three times the
//! weight, there were so many ghosts that every returning entry seemed popular. So ghosts are
//! remembered here, in proportion to the tier's actual number of entries and in a sixth of the
//! memory.

use hashbrown::HashTable;

/// A set of partial hashes of names; a collision only influences what is evicted. New ghosts go
/// into the latest generation. When that is full, the earlier generation is dropped as a whole.
#[derive(Default)]
pub(super) struct Ghosts {
    latest: HashTable<u32>,
    earlier: HashTable<u32>,
}

/// The size of a generation, in eighths of the number of entries. So 3/8 to 6/8 as many ghosts as
/// entries are remembered in total, at some 8 bytes each.
const EIGHTHS: usize = 3;

impl Ghosts {
    /// Remembers an evicted entry; `entries` is the current number of entries.
    pub(super) fn remember(&mut self, hash: u64, entries: usize) {
        if self.latest.len() >= entries * EIGHTHS / 8 {
            self.earlier = std::mem::take(&mut self.latest);
        }
        let ghost = fingerprint(hash);
        self.latest
            .entry(
                bucket_hash(ghost),
                |other| *other == ghost,
                |other| bucket_hash(*other),
            )
            .insert(ghost);
    }

    /// Removes a ghost; returns whether it was remembered.
    pub(super) fn forget(&mut self, hash: u64) -> bool {
        let ghost = fingerprint(hash);
        [&mut self.latest, &mut self.earlier]
            .into_iter()
            .any(|generation| {
                let found = generation.find_entry(bucket_hash(ghost), |other| *other == ghost);
                found.map(|found| found.remove()).is_ok()
            })
    }
}

/// The half of the hash that the choice of a shard doesn't use.
#[expect(clippy::cast_possible_truncation, reason = "it is to be half of it")]
fn fingerprint(hash: u64) -> u32 {
    hash as u32
}

/// Copies the bits to both ends, because the hash table uses both.
fn bucket_hash(ghost: u32) -> u64 {
    u64::from(ghost) << 32 | u64::from(ghost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_three_eighths_are_remembered_and_twice_as_many_at_most() {
        let mut ghosts = Ghosts::default();
        for hash in 0..10_000 {
            ghosts.remember(hash, 800);
            let all = ghosts.latest.len() + ghosts.earlier.len();
            assert!(all <= 600, "{all} after {hash}");
        }
        assert!((9_700..10_000).all(|hash| ghosts.forget(hash)));
        assert!(!(0..9_400).any(|hash| ghosts.forget(hash)));
        assert!(!ghosts.forget(9_999), "it was forgotten");
    }

    #[test]
    fn fewer_entries_leave_fewer_ghosts() {
        let mut ghosts = Ghosts::default();
        (0..10_000).for_each(|hash| ghosts.remember(hash, 8_000));
        (0..100).for_each(|hash| ghosts.remember(hash << 16, 80));
        let all = ghosts.latest.len() + ghosts.earlier.len();
        assert!(all <= 60, "{all}");
        ghosts.remember(7, 0);
        assert!(ghosts.forget(7), "the last one");
    }
}
