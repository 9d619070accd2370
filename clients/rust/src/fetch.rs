//! One fetch for the whole mesh: the credential of a key, from the cache, from
//! another caller who is fetching it, or from the issuer.
//!
//! An outage of the cache is neither an outage of its callers nor one of the
//! issuer: without the cache, each process fetches for itself, one fetch per key at
//! a time, and reuses what it fetched for a while.

mod breaker;
mod call;
mod failure;
mod fetched;
mod get_or_fetch;
mod inflight;
mod job;
mod options;
mod outage_cache;
mod progress;
pub(crate) mod source;
pub(crate) mod state;
mod step;

pub(crate) use call::{Execution, GetOrFetchCall};
pub use failure::{FetchError, FetchFailure, GetOrFetchError};
pub use fetched::Fetched;
#[cfg(feature = "testing")]
pub(crate) use fetched::default_refresh_before;
pub(crate) use job::FetchJob;
pub use options::{FetchOptions, OnOutage};
