//! Long work, done in steps. No lock is held between two steps.

pub(crate) mod budget;
pub(crate) mod scan;
