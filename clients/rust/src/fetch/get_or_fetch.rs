//! The `get_or_fetch` calls of a client.

use std::sync::Arc;

use super::{
    call::{Execution, GetOrFetchCall},
    failure::{FetchFailure, GetOrFetchError},
    fetched::Fetched,
    job::FetchJob,
    options::FetchOptions,
    source::Uncached,
};
use crate::{Client, Credential};

impl Client {
    /// Gets the credential of a key from the cache; on a miss, one caller in the
    /// whole mesh fetches and stores it.
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
    /// - On a hit the cached credential is returned at once. If it is due for
    ///   refresh, one caller at a time fetches the next one in the background.
    /// - On a miss the caller who is granted the key's lease fetches; the others
    ///   wait for the credential. The lease is short and is extended while the fetch
    ///   runs: a slow issuer costs nothing more, and a process that crashes costs 3
    ///   seconds.
    /// - The lease promises one fetch at a time, with one exception: an Invalidate
    ///   ends the leases that it matches, so that a second fetch may begin while the
    ///   first is still under way. The credential of the first isn't stored then.
    /// - A fetch that fails starts a cool-down in which nobody fetches, for as long as
    ///   its [`FetchError`](crate::FetchError) says. Other callers fail with
    ///   [`GetOrFetchError::CoolDown`].
    /// - A credential that was revoked while it was being fetched isn't returned, but
    ///   fetched again; so is one that expired before it could be returned. The call
    ///   fetches three times at most.
    /// - While the cache can't be reached the caller fetches all the same, see
    ///   [`OnOutage`](super::OnOutage), and the credential is reused by later calls,
    ///   see [`FetchOptions::keep_in_outage`]. Finding out that the cache is
    ///   unreachable takes at most [`FetchOptions::server_timeout`]; then calls no
    ///   longer ask it, and about one probe per second finds out when it is back.
    /// - A credential that can't be stored is returned nevertheless, and so is one
    ///   whose value is too large to store: with [`Credential::version`] 0. What the
    ///   cache refuses for another reason, such as an unknown tier, is an error.
    ///
    /// `fetch` runs in a task of its own, on the runtime of this call, and is called
    /// once per fetch: for most calls never. It is dropped once everything that the
    /// call began is done: the credential is stored, or the lease is given back. A
    /// fetch that borrows can't have a task of its own: see
    /// [`get_or_fetch_in_place`](Self::get_or_fetch_in_place).
    ///
    /// # Errors
    ///
    /// Returns a [`GetOrFetchError`], which says whether this call's own fetch
    /// failed, another caller's did, the time was up, or the cache refused.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: when the future is dropped or its timeout passes, a fetch that
    /// this call began goes on for the callers who wait for it, and is stored, for as
    /// long as [`FetchOptions::fetch_timeout`]. If it panics, or the runtime ends,
    /// its lease is given back.
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

    /// Like [`get_or_fetch`](Self::get_or_fetch), with other settings.
    ///
    /// # Errors
    ///
    /// Those of [`get_or_fetch`](Self::get_or_fetch).
    ///
    /// # Cancel safety
    ///
    /// That of [`get_or_fetch`](Self::get_or_fetch).
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
        let begin = (Execution::OwnTask, FetchJob::spawn as fn(_) -> _);
        let call = GetOrFetchCall::new(self, (namespace, key), options, fetch, begin, &Uncached);
        call.run().await.map(Arc::unwrap_or_clone)
    }

    /// Like [`get_or_fetch_with`](Self::get_or_fetch_with), with a fetch that may
    /// borrow: the fetch runs within this call's own future.
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
    /// A hit that is due for refresh isn't refreshed in the background: the caller
    /// whose turn it is waits for the next credential. If that fetch fails, or takes
    /// longer than the call may, the caller gets the hit, which is still good.
    ///
    /// # Errors
    ///
    /// Those of [`get_or_fetch`](Self::get_or_fetch).
    ///
    /// # Cancel safety
    ///
    /// A fetch ends with its call: if the future is dropped, or its timeout passes,
    /// the work of the fetch is lost, and the lease is given back to the callers who
    /// wait. A fetch that panics takes the caller with it.
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
        let begin = (Execution::InPlace, FetchJob::in_place);
        let call = GetOrFetchCall::new(self, (namespace, key), options, fetch, begin, &Uncached);
        call.run().await.map(Arc::unwrap_or_clone)
    }
}
