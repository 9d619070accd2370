//! The near cache as its users see it.

use std::{fmt, sync::Arc, time::Duration};

use tokio::task::AbortHandle;

use super::{
    namespace_cache::{NamespaceCache, NearCacheStats},
    watch_task::WatchTask,
};
use crate::{
    Client, Error,
    clock::BootInstant,
    credential::Credential,
    fetch::{
        Execution, FetchFailure, FetchJob, FetchOptions, Fetched, GetOrFetchCall, GetOrFetchError,
        OnOutage, source::Uncached,
    },
    lookup::{GetOptions, Lookup},
    metrics::MetricEvent,
};

/// A client-side cache in front of a [`Client`]: a hit costs no call.
///
/// ```no_run
/// use credcache_client::{Client, Lookup, NearCache};
///
/// # async fn example(client: Client) -> Result<(), credcache_client::Error> {
/// let near = NearCache::builder(client).namespace("aws").build();
/// if let Lookup::Hit(credential) = near.get("aws", "role/reader").await? {
///     println!("good for {:?}", credential.remaining());
/// }
/// # Ok(())
/// # }
/// ```
///
/// A cached credential is used only
/// - while the server has said within the last 2 seconds (see
///   [`heartbeat_bound`](crate::NearCacheBuilder::heartbeat_bound)) that no event is
///   missing: a revocation takes effect here at once, and with a broken connection
///   after that time at the latest;
/// - until the credential expires, by a clock that keeps counting during suspend.
///
/// Otherwise the near cache asks the server. An answer that arrives while a matching
/// credential is being revoked is returned, but not cached. A revocation by tag
/// removes all cached credentials of its namespace.
///
/// The time of a heartbeat counts from its arrival. Where the delay of the network
/// keeps growing, a revocation behind the heartbeats is late by the delay, on top of
/// the bound. A delay of more than 2 seconds, or of more than the bound if that is
/// longer, counts as silence, and ends the connection.
///
/// All connections of the client must reach one and the same server: the watch of
/// one server doesn't report what another one revokes.
///
/// A clone is cheap and shares everything. The watch ends when the last clone is
/// dropped.
#[derive(Clone)]
pub struct NearCache(Arc<Shared>);

/// What the clones of a near cache share.
struct Shared {
    client: Client,
    heartbeat_bound: Duration,
    namespaces: Box<[Arc<NamespaceCache>]>,
    watch_tasks: Vec<AbortHandle>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        for watch_task in &self.watch_tasks {
            watch_task.abort();
        }
    }
}

impl NearCache {
    /// Begins to watch `namespaces`. Must be called within a tokio runtime.
    pub(super) fn start(
        client: Client,
        heartbeat_bound: Duration,
        namespaces: Box<[Arc<NamespaceCache>]>,
    ) -> Self {
        let watch_tasks = namespaces
            .iter()
            .map(|cache| WatchTask::new(client.clone(), Arc::clone(cache), heartbeat_bound))
            .map(|watch_task| tokio::spawn(watch_task.run()).abort_handle())
            .collect();
        Self(Arc::new(Shared {
            client,
            heartbeat_bound,
            namespaces,
            watch_tasks,
        }))
    }

    /// Returns the credential of a key if it is cached here and may be used; never
    /// asks the server. Neither allocates nor waits.
    pub fn cached(&self, namespace: &str, key: &str) -> Option<Arc<Credential>> {
        let cache = self.namespace(namespace)?;
        let hit = cache.get(key, Duration::ZERO, BootInstant::now)?;
        self.0.client.metrics.record(MetricEvent::NearHit);
        Some(hit.credential)
    }

    /// Gets the live credential of a key, from here or from the server. In a
    /// namespace that isn't watched it always asks the server.
    ///
    /// # Errors
    ///
    /// Those of [`Client::get`], if the server had to be asked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a Get changes nothing.
    pub async fn get(&self, namespace: &str, key: &str) -> Result<Lookup<Arc<Credential>>, Error> {
        // A hit doesn't need the layers of a call that waits.
        if let Some(credential) = self.cached(namespace, key) {
            return Ok(Lookup::Hit(credential));
        }
        self.ask(namespace, key, GetOptions::default()).await
    }

    /// Like [`get`](Self::get), with conditions on what is good enough.
    ///
    /// # Errors
    ///
    /// Those of [`Client::get`], if the server had to be asked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a Get changes nothing.
    pub async fn get_with(
        &self,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<Lookup<Arc<Credential>>, Error> {
        let min_ttl = options.min_ttl.unwrap_or_default();
        let hit = self
            .namespace(namespace)
            .and_then(|cache| cache.get(key, min_ttl, BootInstant::now));
        if let Some(hit) = hit {
            self.0.client.metrics.record(MetricEvent::NearHit);
            return Ok(Lookup::Hit(hit.credential));
        }
        self.ask(namespace, key, options).await
    }

    /// Asks the server, and caches its answer if the namespace is watched.
    async fn ask(
        &self,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<Lookup<Arc<Credential>>, Error> {
        let options = options.acquire_lease(false);
        let client = &self.0.client;
        let response = match self.namespace(namespace) {
            Some(cache) => client.lookup_from(&**cache, namespace, key, options).await,
            None => client.lookup_from(&Uncached, namespace, key, options).await,
        };
        Ok(response?.lookup)
    }

    /// Like [`Client::get_or_fetch`], but answers from this cache when it can. A
    /// credential that is due for refresh is still returned; a background refresh is
    /// started for it at most once per second.
    ///
    /// ```no_run
    /// use std::{error::Error, time::Duration};
    ///
    /// use credcache_client::{Fetched, Lifetime, NearCache, Secret};
    ///
    /// # async fn example(near: NearCache) -> Result<(), Box<dyn Error + Send + Sync>> {
    /// async fn issue() -> Result<Fetched, Box<dyn Error + Send + Sync>> {
    ///     let token = Secret::new("what the identity provider answers");
    ///     Ok(Fetched::new(token, Lifetime::Ttl(Duration::from_secs(900))))
    /// }
    ///
    /// let credential = near.get_or_fetch("oauth", "billing", issue).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// While the server is unreachable it reuses what was fetched, as
    /// [`FetchOptions::keep_in_outage`] says, but for no longer than this cache's
    /// [`heartbeat_bound`](crate::NearCacheBuilder::heartbeat_bound), so that the bound
    /// holds for every credential that this cache returns.
    ///
    /// # Errors
    ///
    /// Those of [`Client::get_or_fetch`], if there is no usable credential here.
    ///
    /// # Cancel safety
    ///
    /// That of [`Client::get_or_fetch`].
    pub async fn get_or_fetch<F, Fut, X>(
        &self,
        namespace: &str,
        key: &str,
        fetch: F,
    ) -> Result<Arc<Credential>, GetOrFetchError<X::Error>>
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
    /// Those of [`Client::get_or_fetch`], if there is no usable credential here.
    ///
    /// # Cancel safety
    ///
    /// That of [`Client::get_or_fetch`].
    pub async fn get_or_fetch_with<F, Fut, X>(
        &self,
        namespace: &str,
        key: &str,
        options: FetchOptions,
        fetch: F,
    ) -> Result<Arc<Credential>, GetOrFetchError<X::Error>>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Fetched, X>> + Send + 'static,
        X: FetchFailure + 'static,
        X::Error: Send + 'static,
    {
        let client = &self.0.client;
        let options = options.keep_at_most(self.0.heartbeat_bound);
        let begin = (Execution::OwnTask, FetchJob::spawn as fn(_) -> _);
        let name = (namespace, key);
        let Some(cache) = self.namespace(namespace) else {
            let call = GetOrFetchCall::new(client, name, options, fetch, begin, &Uncached);
            return call.run().await;
        };
        let hit = cache.get(key, options.least_lifetime(), BootInstant::now);
        let Some(hit) = hit else {
            let call = GetOrFetchCall::new(client, name, options, fetch, begin, &**cache);
            return call.run().await;
        };
        client.metrics.record(MetricEvent::NearHit);
        if hit.is_due() && cache.may_refresh(key, BootInstant::now()) {
            let (client, namespace, key) = (client.clone(), namespace.to_owned(), key.to_owned());
            // The cached credential is still good: an outage is no reason to fetch.
            let options = options.on_outage(OnOutage::Fail);
            tokio::spawn(async move {
                let name = (&namespace[..], &key[..]);
                let call = GetOrFetchCall::new(&client, name, options, fetch, begin, &Uncached);
                let _ = call.run().await;
            });
        }
        Ok(hit.credential)
    }

    /// Waits until every namespace is watched; before that, nothing is cached. Waits
    /// forever for a server that isn't there, or that refuses.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn watching(&self) {
        for cache in &self.0.namespaces {
            cache.until_watching().await;
        }
    }

    /// Returns the counters of a namespace; `None` if it isn't watched.
    pub fn stats(&self, namespace: &str) -> Option<NearCacheStats> {
        self.namespace(namespace).map(|cache| cache.stats())
    }

    // There are few: going through them is quicker than hashing.
    fn namespace(&self, namespace: &str) -> Option<&Arc<NamespaceCache>> {
        let mut namespaces = self.0.namespaces.iter();
        namespaces.find(|cache| cache.namespace() == namespace)
    }
}

impl fmt::Debug for NearCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearCache")
            .field("namespaces", &self.0.namespaces)
            .finish_non_exhaustive()
    }
}
