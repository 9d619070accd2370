//! One fetch for the whole mesh: the credential of a key, from the cache, from
//! somebody else who is fetching it, or from the issuer.
//!
//! An outage of the cache is no outage of its callers, nor one of the issuer:
//! without the cache, each process fetches for itself, one fetch a key at a time,
//! and keeps what it fetched for a while.

mod breaker;
mod failure;
mod fetched;
mod flight;
mod flights;
mod kept;
mod rounds;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{Client, Credential, GetOptions, Measured, builder::LONGEST_TIMEOUT, retry::Retry};
use breaker::{Breaker, Probe};
pub use failure::{FetchError, FetchFailure, GetOrFetchError};
pub use fetched::Fetched;
#[cfg(feature = "testing")]
pub(crate) use fetched::ahead;
pub(crate) use flight::Flight;
use flights::Flights;
use kept::Kept;
pub(crate) use rounds::{Call, Place};

/// The lease that a fetch asks for, and is given again and again while it runs:
/// what a process that vanishes costs the others.
const LEASE_TTL: Duration = Duration::from_secs(3);

/// What the calls of one client share.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    flights: Arc<Flights>,
    pub(crate) kept: Arc<Kept>,
    breaker: Arc<Breaker>,
}

/// How `get_or_fetch` goes about it. The defaults suit a service.
#[derive(Clone, Copy, Debug)]
pub struct FetchOptions {
    min_ttl: Option<Duration>,
    timeout: Option<Duration>,
    patience: Option<Duration>,
    fetch_timeout: Duration,
    on_outage: OnOutage,
    keep_in_outage: Duration,
}

/// What to do while the cache can't be reached, or has no answer in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutage {
    /// Fetch: of those in this process who ask for one key, one at a time
    /// fetches for all, and what it brings is kept for
    /// [`keep_in_outage`](FetchOptions::keep_in_outage). What the cache would have
    /// known of revocations isn't known then.
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
            keep_in_outage: Duration::from_secs(10),
        }
    }
}

/// The longest that `keep_in_outage` counts.
const LONGEST_KEPT: Duration = Duration::from_secs(60);

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
    /// Default: 30 seconds. Its lease is extended as long as it runs; past 10
    /// minutes somebody else may begin one as well.
    #[must_use]
    pub fn fetch_timeout(mut self, fetch_timeout: Duration) -> Self {
        self.fetch_timeout = fetch_timeout.min(LONGEST_TIMEOUT);
        self
    }

    /// How long this process hands out what it fetched while the cache was away,
    /// from when that fetch began, and as long as the cache stays away: else an
    /// outage of the cache would be one of the issuer. Never past the
    /// credential's own end. A revocation reaches such a credential only if this
    /// process asks for it itself, or when the time is up. Default: 10 seconds;
    /// more than a minute counts as a minute, and zero means that each call
    /// fetches.
    #[must_use]
    pub fn keep_in_outage(mut self, keep_in_outage: Duration) -> Self {
        self.keep_in_outage = keep_in_outage.min(LONGEST_KEPT);
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
    ///   wait for what it brings. The lease is short and is extended while the
    ///   fetch runs: a slow issuer costs nothing more, and a process that
    ///   vanishes 3 seconds.
    /// - One fetch at a time is what the lease promises, with one exception: an
    ///   Invalidate ends the leases that it matches, and so a second fetch may
    ///   begin while the first is still under way. What the first one brings
    ///   isn't stored then.
    /// - A fetch that fails keeps everybody from fetching for a while, as its
    ///   [`FetchError`] says: they fail with [`GetOrFetchError::Closed`].
    /// - What was revoked while it was being fetched isn't handed out, but fetched
    ///   anew; so is what ended before it could be handed out. Three times at most.
    /// - While the cache can't be reached the caller fetches all the same, see
    ///   [`OnOutage`], and what it fetched is kept for those who ask next, see
    ///   [`FetchOptions::keep_in_outage`]. To find out that the cache is away
    ///   takes as long as [`FetchOptions::patience`] at most; then calls don't ask
    ///   it any more, and one question a second finds out when it is back.
    /// - What can't be stored is handed out nevertheless, and so is a value that is
    ///   too large to store: with [`Credential::version`] 0. What the cache refuses
    ///   for another reason, such as an unknown tier, is an error.
    ///
    /// `fetch` runs in a task of its own, on the runtime of this call, and is
    /// called once a fetch: for a miss in most calls never. It is dropped once
    /// all that the call began is done: stored, or its lease given back. A fetch
    /// that borrows can't have a task of its own: see
    /// [`get_or_fetch_in_place`](Self::get_or_fetch_in_place).
    ///
    /// Cancel safe: a fetch that this call began isn't wasted when its future is
    /// dropped or its timeout passes, but goes on for those who wait for it and
    /// is stored, for as long as [`FetchOptions::fetch_timeout`]. If it panics, or
    /// the runtime ends, its lease is given back.
    pub async fn get_or_fetch<F, Fut, X>(
        &self,
        namespace: &str,
        key: &str,
        fetch: F,
    ) -> Result<Credential, GetOrFetchError<X::Error>>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Fetched, X>> + Send + 'static,
        X: FetchFailure + 'static,
        X::Error: Send + 'static,
    {
        let options = FetchOptions::default();
        self.get_or_fetch_with(namespace, key, options, fetch).await
    }

    /// [`get_or_fetch`](Self::get_or_fetch), with other settings.
    pub async fn get_or_fetch_with<F, Fut, X>(
        &self,
        namespace: &str,
        key: &str,
        options: FetchOptions,
        fetch: F,
    ) -> Result<Credential, GetOrFetchError<X::Error>>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Fetched, X>> + Send + 'static,
        X: FetchFailure + 'static,
        X::Error: Send + 'static,
    {
        let begin = (Place::OwnTask, Flight::spawn as fn(_) -> _);
        let call = Call::new(self, (namespace, key), options, fetch, begin, None);
        call.run().await.map(Arc::unwrap_or_clone)
    }

    /// [`get_or_fetch_with`](Self::get_or_fetch_with), with a fetch that may
    /// borrow: it runs within this call's own future.
    ///
    /// ```no_run
    /// # use std::{error::Error, time::Duration};
    /// # use credcache_client::{Client, FetchOptions, Fetched, Lifetime, Secret};
    /// # struct Issuer;
    /// # impl Issuer {
    /// #     async fn token(&self) -> Result<String, Box<dyn Error + Send + Sync>> { todo!() }
    /// # }
    /// # async fn example(client: Client, issuer: &Issuer) -> Result<(), Box<dyn Error + Send + Sync>> {
    /// let credential = client
    ///     .get_or_fetch_in_place("oauth", "billing", FetchOptions::default(), || async {
    ///         let token = Secret::new(issuer.token().await?);
    ///         let lifetime = Lifetime::Ttl(Duration::from_secs(900));
    ///         Ok::<_, Box<dyn Error + Send + Sync>>(Fetched::new(token, lifetime))
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// That costs two things:
    /// - A hit that is due isn't fetched anew behind the caller's back: the caller
    ///   whose turn it is waits for the next one. If that fails, or takes longer
    ///   than the call may, the caller gets the hit, which is still good.
    /// - A fetch ends with its call: if the future is dropped, or its timeout
    ///   passes, what was fetched so far is wasted, and the lease is given back to
    ///   those who wait. A fetch that panics takes the caller with it.
    pub async fn get_or_fetch_in_place<F, Fut, X>(
        &self,
        namespace: &str,
        key: &str,
        options: FetchOptions,
        fetch: F,
    ) -> Result<Credential, GetOrFetchError<X::Error>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Fetched, X>>,
        X: FetchFailure,
    {
        let begin = (Place::Caller, Flight::in_place);
        let call = Call::new(self, (namespace, key), options, fetch, begin, None);
        call.run().await.map(Arc::unwrap_or_clone)
    }

    /// Asks in the background whether the server is back.
    fn find_out(&self, probe: Probe, namespace: &str, key: &str) {
        let mut client = self.clone();
        client.retry = Retry { attempts: 1 };
        let (namespace, key) = (namespace.to_owned(), key.to_owned());
        tokio::spawn(async move {
            let answer = client.ask(&namespace, &key, GetOptions::default()).await;
            let now = Instant::now();
            match answer {
                Err(error) if error.met_no_server() => probe.failed(now),
                _ => client.server_answered(now),
            }
        });
    }

    fn server_answered(&self, now: Instant) {
        if self.fetches.breaker.answered(now) {
            self.metrics.record(Measured::Back);
        }
    }
}
