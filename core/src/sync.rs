//! The locks and atomics of the core, and all else that differs where their
//! order is tried out.
//!
//! With the feature `shuttle` a scheduler decides at each of them who goes on,
//! and the same decisions lead to the same end, so that a failure can be
//! replayed. Without it they are parking_lot's and std's own.

#[cfg(not(feature = "shuttle"))]
mod real {
    use std::sync::atomic::Ordering::Relaxed;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};

    pub(crate) use foldhash::quality::RandomState as HashState;
    pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};

    /// How many parts the names are divided into for changing them. Enough that
    /// changes on a machine's cores seldom meet; each part costs a few hundred
    /// bytes.
    pub(crate) const STRIPES: usize = 64;

    /// How many parts the namespaces are divided into for ordering their
    /// changes.
    pub(crate) const SHARDS: usize = 8;

    thread_local! {
        static LANE: usize = {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            NEXT.fetch_add(1, Relaxed)
        };
    }

    /// A number of the thread's own, for counting where few others do.
    #[inline]
    pub(crate) fn lane() -> usize {
        LANE.with(|lane| *lane)
    }

    /// Lets those who wait for the lock have it first.
    pub(crate) fn give_way<T>(guard: &mut MutexGuard<'_, T>) {
        MutexGuard::bump(guard);
    }
}

#[cfg(feature = "shuttle")]
mod scheduled;

#[cfg(not(feature = "shuttle"))]
pub(crate) use real::*;
#[cfg(feature = "shuttle")]
pub(crate) use scheduled::*;
