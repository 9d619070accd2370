//! What a scheduler runs, in parking_lot's shape: no poisoning, since the first
//! panic ends the schedule.

use std::sync::PoisonError;

pub(crate) use foldhash::quality::FixedState as HashState;
pub(crate) use shuttle::sync::{
    MutexGuard, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize},
};

/// Few, so that a schedule isn't spent on stripes that hold nothing; two, so
/// that there are names that meet and names that don't.
pub(crate) const STRIPES: usize = 2;

/// The same for namespaces.
pub(crate) const SHARDS: usize = 2;

/// One for all: no schedule depends on where something is counted.
pub(crate) fn lane() -> usize {
    0
}

/// The scheduler gives way where it likes.
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
