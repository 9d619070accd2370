//! Work that takes long, in steps between which no lock is held.

pub(crate) mod budget;
pub(crate) mod scan;
