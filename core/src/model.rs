//! The values of the domain: names, lifetimes, secrets and limits.
//!
//! Nothing in this folder locks or stores anything, or refers to other folders.

pub(crate) mod attributes;
pub(crate) mod contents;
pub(crate) mod invalidation;
pub(crate) mod jitter;
pub(crate) mod limits;
pub(crate) mod name;
pub(crate) mod outcome;
pub(crate) mod refresh;
pub(crate) mod revision;
pub(crate) mod secret;
pub(crate) mod tags;

pub(crate) mod tier_spec;
pub(crate) mod time;
