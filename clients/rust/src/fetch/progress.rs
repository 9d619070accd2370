//! What the steps of a call of `get_or_fetch` leave for later ones.

use std::{sync::Arc, time::Duration};

use super::failure::GetOrFetchError;
use crate::{credential::Credential, judged::SharedCredential};

/// What earlier steps of a call left for later ones.
#[derive(Default)]
pub(super) struct Progress {
    /// How long the next question waits at the server: zero in the state *ask*.
    pub(super) wait: Duration,
    pub(super) fetches: u32,
    /// The credential of a fetch that lost its lease.
    pub(super) fallback: Option<SharedCredential>,
    /// Set while another caller is fetching, with when to ask again.
    pub(super) pending: Option<Option<Duration>>,
    /// Whether a credential expired before it could be returned.
    pub(super) expired: bool,
}

impl Progress {
    /// The result when the time, or the fetches, are used up.
    pub(super) fn result<E>(self) -> Result<Arc<Credential>, GetOrFetchError<E>> {
        if let Some(fallback) = self.fallback {
            let fallback = fallback.judge(Duration::ZERO);
            return fallback.map_err(|_| GetOrFetchError::Expired);
        }
        Err(match self.pending {
            Some(retry_after) => GetOrFetchError::Pending { retry_after },
            None if self.expired => GetOrFetchError::Expired,
            None if self.fetches > 0 => GetOrFetchError::Revoked,
            None => GetOrFetchError::TimedOut,
        })
    }
}
