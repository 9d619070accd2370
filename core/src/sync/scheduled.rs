//! The types that the scheduler controls, with the interface of parking_lot: no lock poisoning,
//! because the first panic ends the schedule.

use std::sync::PoisonError;

pub(crate) use foldhash::quality::FixedState as HashState;
pub(crate) use shuttle::sync::{
    MutexGuard, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize},
};

/// Two stripes: few, so that a schedule isn't spent on empty stripes, yet names may share a stripe
/// or not.
pub(crate) const STRIPES: usize = 2;

/// Two shards, for the same reason.
pub(crate) const SHARDS: usize = 2;

/// One lane for all threads: no schedule depends on where an event is counted.
pub(crate) fn lane() -> usize {
    0
}

/// Does nothing: the scheduler chooses the next thread anyway.
pub(crate) fn give_way<T>(_: &mut MutexGuard<'_, T>) {}

#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
