//! A counter in shards: many threads increment it, and a single number would be a
//! cache line that they all contend for.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

#[derive(Default)]
pub(super) struct ShardedCounter([Shard; SHARDS]);

#[derive(Default)]
#[repr(align(128))]
struct Shard(AtomicU64);

const SHARDS: usize = 16;

thread_local! {
    static MINE: Cell<usize> = Cell::new(fastrand::usize(..SHARDS));
}

impl ShardedCounter {
    pub(super) fn increment(&self) {
        self.0[MINE.get()].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        let counts = self.0.iter().map(|shard| shard.0.load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }
}
