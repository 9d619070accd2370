//! The locks and atomics of the core, and the constants that differ when thread schedules are
//! explored.
//!
//! With the feature `shuttle`, a scheduler decides at each lock and atomic which thread continues.
//! The same decisions lead to the same outcome, so a failure can be replayed. Without the feature,
//! the types are those of parking_lot and std.

#[cfg(not(feature = "shuttle"))]
mod real {
    use std::sync::atomic::Ordering::Relaxed;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};

    pub(crate) use foldhash::quality::RandomState as HashState;
    pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};

    /// The number of stripes that names are divided into; a change locks the stripe of its name.
    /// With 64 stripes, concurrent changes seldom meet, and each stripe costs a few hundred bytes.
    pub(crate) const STRIPES: usize = 64;

    /// The number of change log shards that namespaces are divided into.
    pub(crate) const SHARDS: usize = 8;

    thread_local! {
        static LANE: usize = {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            NEXT.fetch_add(1, Relaxed)
        };
    }

    /// A number of the calling thread, which selects the lane that the thread counts in.
    #[inline]
    pub(crate) fn lane() -> usize {
        LANE.with(|lane| *lane)
    }

    /// Lets threads that wait for the lock acquire it first.
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
