//! What a fetch can fail with, and what becomes of a call that needed it.

use std::time::Duration;

use crate::Error;

/// A fetch that failed, and for how long nobody should try again.
///
/// The server keeps everybody else from fetching for that long, give or take
/// some jitter and up to 5 minutes. `?` makes a retryable one of any error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchError<E> {
    pub(super) error: E,
    pub(super) retry_after: Duration,
}

impl<E> FetchError<E> {
    /// It may pass: others may try again in a second.
    pub fn retryable(error: E) -> Self {
        Self {
            error,
            retry_after: SOON,
        }
    }

    /// It won't pass by itself, such as a role that doesn't exist: others may
    /// try again in 30 seconds.
    pub fn permanent(error: E) -> Self {
        Self {
            error,
            retry_after: LATER,
        }
    }

    /// Others may try again after this long, for instance because the issuer
    /// says so. Zero: at once.
    #[must_use]
    pub fn retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = retry_after;
        self
    }
}

impl<E> From<E> for FetchError<E> {
    fn from(error: E) -> Self {
        Self::retryable(error)
    }
}

/// How long nobody fetches after a failure that may pass.
pub(super) const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(30);

/// Why [`get_or_fetch`](crate::Client::get_or_fetch) has no credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetOrFetchError<E> {
    /// This call's own fetch failed.
    #[error("the credential couldn't be fetched")]
    Fetch(#[source] E),
    /// Somebody's fetch failed a moment ago, so nobody fetches now.
    #[error("fetching the credential has failed: it may be tried again in {retry_after:?}")]
    Closed {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The call's time was over while somebody else was still fetching.
    #[error("somebody else is still fetching the credential")]
    Pending {
        /// When to ask again, if the server said.
        retry_after: Option<Duration>,
    },
    /// The call's time was over, or the fetch took longer than it may. A fetch
    /// that the call began goes on for those who ask later.
    #[error("getting the credential took longer than the call may")]
    TimedOut,
    /// Each time the credential was revoked while it was being fetched.
    #[error("the credential was revoked while it was being fetched")]
    Revoked,
    /// The fetch panicked.
    #[error("the fetch panicked")]
    Panicked,
    /// The cache refused the call, or what was fetched: see
    /// [`Refusal`](crate::Refusal). Or it has an outage, and
    /// [`OnOutage::Fail`](crate::OnOutage::Fail) was asked for.
    #[error(transparent)]
    Cache(#[from] Error),
}

impl<E> GetOrFetchError<E> {
    /// When to ask again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Closed { retry_after } => Some(*retry_after),
            Self::Pending { retry_after } => *retry_after,
            Self::Cache(error) => error.retry_after(),
            Self::Fetch(_) | Self::TimedOut | Self::Revoked | Self::Panicked => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, io};

    use super::*;

    #[test]
    fn cause_of_a_failed_fetch_can_be_asked_for() {
        let failure = GetOrFetchError::Fetch(io::Error::other("the issuer is down"));
        assert_eq!(
            failure.source().map(ToString::to_string).as_deref(),
            Some("the issuer is down")
        );
    }

    #[test]
    fn question_mark_makes_a_retryable_failure() {
        fn fetch() -> Result<(), FetchError<io::Error>> {
            Err(io::Error::other("refused"))?
        }
        assert_eq!(fetch().unwrap_err().retry_after, SOON);
        assert_eq!(FetchError::permanent(()).retry_after, LATER);
        let asked = FetchError::permanent(()).retry_after(SOON * 5);
        assert_eq!(asked.retry_after, SOON * 5);
    }
}
