//! Settings of a call of `get_or_fetch`.

use std::time::Duration;

use crate::retry::LONGEST_TIMEOUT;

/// Settings of a call of [`get_or_fetch`](crate::Client::get_or_fetch). The
/// defaults suit a service.
///
/// ```no_run
/// use std::{error::Error, time::Duration};
///
/// use credcache_client::{Client, FetchOptions, Fetched, OnOutage};
///
/// # async fn issue() -> Result<Fetched, Box<dyn Error + Send + Sync>> { todo!() }
/// # async fn example(client: Client) -> Result<(), Box<dyn Error + Send + Sync>> {
/// let options = FetchOptions::default()
///     .min_ttl(Duration::from_secs(60))
///     .server_timeout(Duration::from_millis(500))
///     .on_outage(OnOutage::Fail);
/// let credential = client
///     .get_or_fetch_with("oauth", "billing", options, issue)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FetchOptions {
    pub(super) min_ttl: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) server_timeout: Option<Duration>,
    pub(super) fetch_timeout: Duration,
    pub(super) on_outage: OnOutage,
    pub(super) keep_in_outage: Duration,
}

/// What to do while the cache can't be reached, or doesn't answer in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnOutage {
    /// Fetch: of the callers in this process who ask for one key, one at a time
    /// fetches for all, and the credential is reused for
    /// [`keep_in_outage`](FetchOptions::keep_in_outage). Revocations that only the
    /// cache knows of have no effect during that time.
    #[default]
    Fetch,
    /// Fail with the cache's error.
    Fail,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            min_ttl: None,
            timeout: None,
            server_timeout: None,
            fetch_timeout: Duration::from_secs(30),
            on_outage: OnOutage::default(),
            keep_in_outage: Duration::from_secs(10),
        }
    }
}

/// The longest `keep_in_outage`.
const MAX_KEEP_IN_OUTAGE: Duration = Duration::from_secs(60);

impl FetchOptions {
    /// The least lifetime that a cached credential must have left; otherwise it is
    /// fetched. A credential that was just fetched is returned whatever lifetime it
    /// has left.
    #[must_use]
    pub fn min_ttl(mut self, min_ttl: Duration) -> Self {
        self.min_ttl = Some(min_ttl);
        self
    }

    /// How long the whole call may take, the fetch and all waiting included. The
    /// default is the client's timeout. More than a day counts as a day.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(LONGEST_TIMEOUT));
        self
    }

    /// How long the server may take to answer before it counts as unreachable. The
    /// time that the server is asked to wait for another caller's fetch doesn't
    /// count. The default is a quarter of the call's timeout, and at most 2 seconds.
    #[must_use]
    pub fn server_timeout(mut self, server_timeout: Duration) -> Self {
        self.server_timeout = Some(server_timeout.min(LONGEST_TIMEOUT));
        self
    }

    /// How long a fetch may take, whether or not a caller still waits for it. The
    /// default is 30 seconds. The lease is extended while the fetch runs; after 10
    /// minutes another caller may begin a fetch as well.
    #[must_use]
    pub fn fetch_timeout(mut self, fetch_timeout: Duration) -> Self {
        self.fetch_timeout = fetch_timeout.min(LONGEST_TIMEOUT);
        self
    }

    /// How long this process reuses a credential that it fetched while the cache was
    /// unreachable, so that an outage of the cache isn't one of the issuer. The time
    /// counts from the beginning of the fetch, and ends early when the cache is back
    /// or the credential expires. A revocation reaches such a credential only if
    /// this process asks for it itself, or when the time is up. The default is 10
    /// seconds. More than a minute counts as a minute, and zero means that each call
    /// fetches.
    #[must_use]
    pub fn keep_in_outage(mut self, keep_in_outage: Duration) -> Self {
        self.keep_in_outage = keep_in_outage.min(MAX_KEEP_IN_OUTAGE);
        self
    }

    /// What to do while the cache is unreachable. The default is to fetch.
    #[must_use]
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.on_outage = on_outage;
        self
    }

    /// The same options, with `keep_in_outage` reduced to at most `bound`.
    pub(crate) fn keep_at_most(mut self, bound: Duration) -> Self {
        self.keep_in_outage = self.keep_in_outage.min(bound);
        self
    }

    /// The least lifetime that must be left, or zero.
    pub(crate) fn least_lifetime(&self) -> Duration {
        self.min_ttl.unwrap_or_default()
    }
}
