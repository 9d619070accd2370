//! One fetch for the whole mesh: the credential of a key, from the cache, from
//! somebody else who is fetching it, or from the issuer.
//!
//! An outage of the cache is no outage of its callers: without it, each process
//! fetches for itself, one fetch a key at a time.

mod failure;
mod fetched;
mod flight;
mod flights;
mod rounds;

use std::{sync::Arc, time::Duration};

use crate::{Client, Credential, builder::LONGEST_TIMEOUT};
pub use failure::{FetchError, GetOrFetchError};
pub use fetched::Fetched;
pub(crate) use flights::Flights;
pub(crate) use rounds::Call;

/// How `get_or_fetch` goes about it. The defaults suit a service.
#[derive(Clone, Copy, Debug)]
pub struct FetchOptions {
    min_ttl: Option<Duration>,
    timeout: Option<Duration>,
    patience: Option<Duration>,
    fetch_timeout: Duration,
    on_outage: OnOutage,
}

/// What to do while the cache can't be reached, or has no answer in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutage {
    /// Fetch: of those in this process who ask for one key, one at a time
    /// fetches for all. What the cache would have known of revocations isn't
    /// known then.
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
            patience: None,
            fetch_timeout: Duration::from_secs(30),
            on_outage: OnOutage::default(),
        }
    }
}

impl FetchOptions {
    /// The least lifetime that a credential of the cache must have left, else it
    /// is fetched. One that was just fetched is good whatever it has.
    #[must_use]
    pub fn min_ttl(mut self, min_ttl: Duration) -> Self {
        self.min_ttl = Some(min_ttl);
        self
    }

    /// How long the whole call may take, the fetch and all waiting included.
    /// Default: the client's timeout; more than a day counts as a day.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(LONGEST_TIMEOUT));
        self
    }

    /// How long the server may take to answer before it counts as gone; what it
    /// is asked to wait doesn't count. Default: a quarter of the call's timeout,
    /// 2 seconds at the most.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience.min(LONGEST_TIMEOUT));
        self
    }

    /// How long a fetch may take, whether or not somebody still waits for it.
    /// Default: 30 seconds. Past the lease's end, by default 10 seconds, somebody
    /// else may begin one as well.
    #[must_use]
    pub fn fetch_timeout(mut self, fetch_timeout: Duration) -> Self {
        self.fetch_timeout = fetch_timeout.min(LONGEST_TIMEOUT);
        self
    }

    /// What to do without the cache. Default: fetch.
    #[must_use]
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.on_outage = on_outage;
        self
    }

    /// The least lifetime that must be left.
    pub(crate) fn least_left(&self) -> Duration {
        self.min_ttl.unwrap_or_default()
    }
}

impl Client {
    /// The credential of a key: from the cache, or fetched by one caller for the
    /// whole mesh, and stored.
    ///
    /// ```no_run
    /// # use std::{io, time::Duration};
    /// # use credcache_client::{Client, FetchError, Fetched, Lifetime, Secret};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let credential = client
    ///     .get_or_fetch("oauth", "billing", || async {
    ///         let token = Secret::new("what the identity provider issued");
    ///         let lifetime = Lifetime::Ttl(Duration::from_secs(900));
    ///         Ok::<_, FetchError<io::Error>>(Fetched::new(token, lifetime).tag("prod"))
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// - A hit is handed out at once. If it is due, one caller at a time fetches
    ///   the next one in the background.
    /// - On a miss the caller who is granted the key's lease fetches; the others
    ///   wait for what it brings.
    /// - A fetch that fails keeps everybody from fetching for a while, as its
    ///   [`FetchError`] says: they fail with [`GetOrFetchError::Closed`].
    /// - What was revoked while it was being fetched isn't handed out, but fetched
    ///   anew; three times at most.
    /// - While the cache can't be reached the caller fetches all the same, see
    ///   [`OnOutage`]. To find that out takes as long as
    ///   [`FetchOptions::patience`] at most. What can't be stored is handed out
    ///   nevertheless; what the cache refuses, such as too large a value, is an
    ///   error.
    ///
    /// `fetch` runs in a task of its own, on the runtime of this call, and is
    /// called once a fetch: for a miss in most calls never. It is dropped once
    /// all that the call began is done: stored, or its lease given back.
    ///
    /// Cancel safe: a fetch that this call began isn't wasted when its future is
    /// dropped or its timeout passes, but goes on for those who wait for it and
    /// is stored, for as long as [`FetchOptions::fetch_timeout`]. If it panics, or
    /// the runtime ends, its lease is given back.
    pub async fn get_or_fetch<F, Fut, E>(
        &self,
        namespace: &str,
        key: &str,
        fetch: F,
    ) -> Result<Credential, GetOrFetchError<E>>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Fetched, FetchError<E>>> + Send + 'static,
        E: Send + 'static,
    {
        let options = FetchOptions::default();
        self.get_or_fetch_with(namespace, key, options, fetch).await
    }

    /// [`get_or_fetch`](Self::get_or_fetch), with other settings.
    pub async fn get_or_fetch_with<F, Fut, E>(
        &self,
        namespace: &str,
        key: &str,
        options: FetchOptions,
        fetch: F,
    ) -> Result<Credential, GetOrFetchError<E>>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Fetched, FetchError<E>>> + Send + 'static,
        E: Send + 'static,
    {
        let call = Call::new(self, namespace, key, options, fetch, None);
        call.run().await.map(Arc::unwrap_or_clone)
    }
}
