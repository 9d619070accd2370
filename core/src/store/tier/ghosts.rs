//! Which entries were evicted lately without having been asked for: one that
//! comes back soon is asked for more often than there was time to see.
//!
//! quick_cache can remember them itself, as many as half of the entries that it
//! is told to expect. But a tier can't know what its entries will weigh. Among
//! entries of a sixth of the expected weight so few were remembered that a loop
//! never hit; among those of three times the weight so many that whatever came
//! back seemed to be popular. So they are remembered here, as many as the tier's
//! entries make right, in a sixth of the memory.

use hashbrown::HashTable;

/// Hashes of names, in part: one that is taken for another costs nothing but a
/// choice. What is new goes into the latest generation; when that is full, the
/// earlier one is forgotten as a whole.
#[derive(Default)]
pub(super) struct Ghosts {
    latest: HashTable<u32>,
    earlier: HashTable<u32>,
}

/// How many a generation holds, in eighths of the entries that there are: 3/8
/// to 6/8 of them are remembered in all, some 8 bytes each.
const EIGHTHS: usize = 3;

impl Ghosts {
    /// Remembers one that was evicted; `entries` is how many there are now.
    pub(super) fn remember(&mut self, hash: u64, entries: usize) {
        if self.latest.len() >= entries * EIGHTHS / 8 {
            self.earlier = std::mem::take(&mut self.latest);
        }
        let ghost = part_of(hash);
        self.latest
            .entry(spread(ghost), |one| *one == ghost, |one| spread(*one))
            .insert(ghost);
    }

    /// Whether it is remembered; it isn't any more.
    pub(super) fn forget(&mut self, hash: u64) -> bool {
        let ghost = part_of(hash);
        [&mut self.latest, &mut self.earlier]
            .into_iter()
            .any(|generation| {
                let found = generation.find_entry(spread(ghost), |one| *one == ghost);
                found.map(|found| found.remove()).is_ok()
            })
    }
}

/// The half that the choice of a shard doesn't use.
#[expect(clippy::cast_possible_truncation, reason = "it is to be half of it")]
fn part_of(hash: u64) -> u32 {
    hash as u32
}

/// The table goes by bits of both ends.
fn spread(ghost: u32) -> u64 {
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
