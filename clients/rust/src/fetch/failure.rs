//! The errors of a fetch, and of a call of `get_or_fetch`.

use std::{error::Error, time::Duration};

use crate::Error as CacheError;

/// The error of a fetch, with the cool-down that follows it.
///
/// ```
/// use std::{io, time::Duration};
///
/// use credcache_client::{FetchError, Fetched};
///
/// fn refused(retry_after: Option<Duration>) -> Result<Fetched, FetchError<io::Error>> {
///     let error = io::Error::other("the issuer refused");
///     Err(match retry_after {
///         Some(retry_after) => FetchError::retryable(error).retry_after(retry_after),
///         None => FetchError::permanent(error),
///     })
/// }
/// ```
///
/// During the cool-down the server lets no caller fetch; it adds some jitter, and 5
/// minutes is the most. `?` turns an error of type `E` into a retryable fetch error. A
/// fetch that doesn't choose its cool-down returns its own error instead: see
/// [`FetchFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchError<E> {
    pub(super) error: E,
    pub(super) retry_after: Duration,
}

impl<E> FetchError<E> {
    /// An error that may pass: the cool-down is one second.
    pub fn retryable(error: E) -> Self {
        Self {
            error,
            retry_after: SOON,
        }
    }

    /// An error that won't pass by itself, such as a role that doesn't exist: the
    /// cool-down is 30 seconds.
    pub fn permanent(error: E) -> Self {
        Self {
            error,
            retry_after: LATER,
        }
    }

    /// Sets the cool-down, for instance to what the issuer asks for. Zero means none.
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

/// An error that a fetch may return: a [`FetchError`], or any error that converts to
/// `Box<dyn Error + Send + Sync>`, which then counts as
/// [retryable](FetchError::retryable). `anyhow::Error` is one of them, and `?` works in
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

    /// Returns the error with its cool-down.
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

/// The cool-down after an error that may pass.
pub(super) const SOON: Duration = Duration::from_secs(1);
/// The cool-down after an error that won't pass by itself.
const LATER: Duration = Duration::from_secs(30);

/// Why [`get_or_fetch`](crate::Client::get_or_fetch) has no credential.
///
/// ```no_run
/// use credcache_client::GetOrFetchError;
///
/// # fn example(error: GetOrFetchError<std::io::Error>) {
/// match error {
///     GetOrFetchError::Fetch(error) => println!("the issuer failed: {error}"),
///     GetOrFetchError::Cache(error) => println!("the cache refused: {error}"),
///     error => match error.retry_after() {
///         Some(pause) => println!("{error}; try again in {pause:?}"),
///         None => println!("{error}"),
///     },
/// }
/// # }
/// ```
///
/// `GetOrFetchError` implements `Error` for every `E` that can be printed, such as
/// `anyhow::Error`, which isn't an `Error` itself. The message of
/// [`Fetch`](Self::Fetch) therefore includes the fetch's error, and the variant has no
/// `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetOrFetchError<E> {
    /// This call's own fetch failed.
    #[error("the credential couldn't be fetched: {0:#}")]
    Fetch(E),
    /// This call's own fetch brought a credential that had expired already: check
    /// what the issuer answers, and the clocks.
    #[error("the issuer answered a credential that had expired already")]
    IssuedExpired,
    /// Each fetched credential expired before it could be returned.
    #[error("the credential expired before it could be returned")]
    Expired,
    /// A caller's fetch failed a moment ago, so nobody fetches during a cool-down.
    #[error("fetching the credential has failed: it may be tried again in {retry_after:?}")]
    CoolDown {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The call's time was up while another caller was still fetching.
    #[error("another caller is still fetching the credential")]
    Pending {
        /// When to ask again, if the server said.
        retry_after: Option<Duration>,
    },
    /// The call's time was up, or the fetch took longer than it may. A fetch that the
    /// call began goes on for later callers.
    #[error("getting the credential took longer than the call may")]
    TimedOut,
    /// Each fetched credential was revoked while it was being fetched.
    #[error("the credential was revoked while it was being fetched")]
    Revoked,
    /// The fetch panicked.
    #[error("the fetch panicked")]
    Panicked,
    /// The cache refused the call or the fetched credential, see
    /// [`Refusal`](crate::Refusal); or the cache is unreachable and the options say
    /// [`OnOutage::Fail`](crate::OnOutage::Fail).
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl<E> GetOrFetchError<E> {
    /// Returns when to ask again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CoolDown { retry_after } => Some(*retry_after),
            Self::Pending { retry_after } => *retry_after,
            Self::Cache(error) => error.retry_after(),
            Self::Fetch(_)
            | Self::IssuedExpired
            | Self::Expired
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
