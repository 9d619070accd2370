//! What a fetch can fail with, and what becomes of a call that needed it.

use std::{error::Error, time::Duration};

use crate::Error as CacheError;

/// A fetch that failed, and for how long nobody should try again.
///
/// The server keeps everybody else from fetching for that long, give or take
/// some jitter and up to 5 minutes. `?` makes a retryable one of an error of
/// type `E`. A fetch that has nothing to say of the time returns its own error
/// instead: see [`FetchFailure`].
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

/// What a fetch may fail with: a [`FetchError`], or any error that becomes a
/// `Box<dyn Error + Send + Sync>`, which then counts as
/// [retryable](FetchError::retryable). So does `anyhow::Error`, and `?` works in
/// a fetch that returns it.
///
/// ```no_run
/// # use std::{error::Error, time::Duration};
/// # use credcache_client::{Client, Fetched, Lifetime, Secret};
/// # async fn example(client: Client) -> Result<(), Box<dyn Error + Send + Sync>> {
/// async fn issue() -> Result<Fetched, Box<dyn Error + Send + Sync>> {
///     let answer = std::fs::read("token")?;
///     let seconds = String::from_utf8(std::fs::read("seconds")?)?.parse()?;
///     let lifetime = Lifetime::Ttl(Duration::from_secs(seconds));
///     Ok(Fetched::new(Secret::new(answer), lifetime))
/// }
///
/// let credential = client.get_or_fetch("oauth", "billing", issue).await?;
/// # Ok(())
/// # }
/// ```
pub trait FetchFailure {
    /// The error as [`GetOrFetchError::Fetch`] holds it.
    type Error;

    /// The error, and for how long nobody should try again.
    fn into_fetch_error(self) -> FetchError<Self::Error>;
}

impl<E> FetchFailure for FetchError<E> {
    type Error = E;

    fn into_fetch_error(self) -> Self {
        self
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> FetchFailure for E {
    type Error = E;

    fn into_fetch_error(self) -> FetchError<E> {
        FetchError::retryable(self)
    }
}

/// How long nobody fetches after a failure that may pass.
pub(super) const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(30);

/// Why [`get_or_fetch`](crate::Client::get_or_fetch) has no credential.
///
/// An error whatever `E` is, as long as it can be printed: `anyhow::Error` isn't
/// one itself. So the message of [`Fetch`](Self::Fetch) holds what the fetch
/// said, and no `source`; the variant holds the error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetOrFetchError<E> {
    /// This call's own fetch failed.
    #[error("the credential couldn't be fetched: {0:#}")]
    Fetch(E),
    /// What this call's own fetch brought had ended already: look at what the
    /// issuer answers, and at the clocks.
    #[error("the issuer answered a credential whose lifetime had ended already")]
    IssuedEnded,
    /// Each time the credential's lifetime ended before it could be handed out.
    #[error("the credential's lifetime ended before it could be handed out")]
    Ended,
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
    Cache(#[from] CacheError),
}

impl<E> GetOrFetchError<E> {
    /// When to ask again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Closed { retry_after } => Some(*retry_after),
            Self::Pending { retry_after } => *retry_after,
            Self::Cache(error) => error.retry_after(),
            Self::Fetch(_)
            | Self::IssuedEnded
            | Self::Ended
            | Self::TimedOut
            | Self::Revoked
            | Self::Panicked => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn is_error<E: Error + Send + Sync + 'static>(error: E) -> String {
        error.to_string()
    }

    #[test]
    fn failed_fetch_is_an_error_that_says_what_the_fetch_said_whatever_its_type() {
        let down = io::Error::other("the issuer is down");
        let expected = "the credential couldn't be fetched: the issuer is down";
        assert_eq!(is_error(GetOrFetchError::Fetch(down)), expected);
        let said = GetOrFetchError::Fetch("the issuer is down");
        assert_eq!(is_error(said), expected);
        let of_many = anyhow::Error::msg("connection refused").context("the issuer is down");
        assert_eq!(
            is_error(GetOrFetchError::Fetch(of_many)),
            format!("{expected}: connection refused")
        );
    }

    #[test]
    fn question_mark_works_inside_and_outside_of_a_fetch() {
        fn run<X: FetchFailure>(
            fetch: impl Fn() -> Result<(), X>,
        ) -> Result<(), GetOrFetchError<X::Error>> {
            fetch().map_err(|error| GetOrFetchError::Fetch(error.into_fetch_error().error))
        }
        fn caller() -> anyhow::Result<()> {
            run(|| -> anyhow::Result<()> {
                let _: u32 = "not a number".parse()?;
                anyhow::bail!("unreachable")
            })?;
            Ok(())
        }
        let error = caller().unwrap_err().to_string();
        assert!(error.contains("invalid digit"), "{error}");
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
