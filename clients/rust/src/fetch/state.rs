//! What the calls of one client share.

use std::sync::Arc;

use super::{breaker::Breaker, inflight::InflightFetches, outage_cache::OutageCache};

/// What the `get_or_fetch` calls of one client share.
#[derive(Debug, Default)]
pub(crate) struct FetchState {
    pub(super) inflight: Arc<InflightFetches>,
    pub(crate) outage_cache: Arc<OutageCache>,
    pub(super) breaker: Arc<Breaker>,
}
