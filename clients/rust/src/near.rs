//! Credentials kept in the process, coherent through the server's watch.

mod fills;
mod follow;
mod space;
mod store;
mod stripes;

use std::{fmt, sync::Arc, time::Duration};

use tokio::task::AbortHandle;

use crate::{
    Client, Credential, Error, FetchFailure, FetchOptions, Fetched, GetOptions, GetOrFetchError,
    Lookup, Measured, OnOutage,
    clock::BootInstant,
    fetch::{Call, Flight, Place},
};
use follow::Follower;
pub(crate) use space::Space;

/// A cache in the process, in front of a [`Client`]: a hit costs no call.
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
/// What it keeps is used only
/// - while the server has told within the last 2 seconds (see
///   [`heartbeat_bound`](NearBuilder::heartbeat_bound)) that nothing is missing:
///   so a revocation reaches it at once, and at the latest, with the connection
///   broken, after that time;
/// - until the credential's end, by a clock that goes on during suspend.
///
/// What the server told counts from when it arrives. Where the network's delay
/// grows all the time, each heartbeat comes later after it was sent than the one
/// before, and a revocation behind them is late by as much: by the delay, that is,
/// on top of the bound. A delay that is longer than 2 seconds, or than the bound if
/// that is longer, shows as silence, and ends the connection.
///
/// Else it asks the server; and whatever the server answered while something
/// that matches it was being revoked is handed out, but not kept. A revocation by
/// tag voids all that is kept of its namespace.
///
/// All connections of the client must reach one and the same server: what one
/// server revokes, another one's watch doesn't tell.
///
/// A clone is cheap and shares everything. The watch ends when the last one is
/// dropped.
#[derive(Clone)]
pub struct NearCache(Arc<Inner>);

struct Inner {
    client: Client,
    spaces: Box<[Arc<Space>]>,
    followers: Vec<AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for follower in &self.followers {
            follower.abort();
        }
    }
}

impl NearCache {
    /// Settings, of which the namespaces are needed.
    pub fn builder(client: Client) -> NearBuilder {
        NearBuilder {
            client,
            namespaces: Vec::new(),
            capacity: 16 * 1024 * 1024,
            heartbeat_bound: Duration::from_secs(2),
        }
    }

    /// The credential of a key if it is kept here and may be used; never asks the
    /// server. Neither allocates nor waits.
    pub fn cached(&self, namespace: &str, key: &str) -> Option<Arc<Credential>> {
        let space = self.space(namespace)?;
        let hit = space.lookup(key, Duration::ZERO, BootInstant::now)?;
        self.0.client.metrics.record(Measured::NearHit);
        Some(hit.credential)
    }

    /// The live credential of a key, from here or from the server. In a
    /// namespace that isn't watched it always asks the server.
    pub async fn get(&self, namespace: &str, key: &str) -> Result<Lookup<Arc<Credential>>, Error> {
        // Without the layers of a call that waits, which a hit doesn't need.
        if let Some(credential) = self.cached(namespace, key) {
            return Ok(Lookup::Hit(credential));
        }
        self.ask(namespace, key, GetOptions::default()).await
    }

    /// [`get`](Self::get), with conditions on what is good enough.
    pub async fn get_with(
        &self,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<Lookup<Arc<Credential>>, Error> {
        let least_left = options.min_ttl.unwrap_or_default();
        let hit = self
            .space(namespace)
            .and_then(|space| space.lookup(key, least_left, BootInstant::now));
        if let Some(hit) = hit {
            self.0.client.metrics.record(Measured::NearHit);
            return Ok(Lookup::Hit(hit.credential));
        }
        self.ask(namespace, key, options).await
    }

    /// The server's answer, which is kept if that may be.
    async fn ask(
        &self,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<Lookup<Arc<Credential>>, Error> {
        let fill = self.space(namespace).map(|space| space.begin(key));
        let client = &self.0.client;
        let lookup = client.get_with(namespace, key, options).await?;
        let lookup = lookup.map(Arc::new);
        if let (Some(fill), Lookup::Hit(credential)) = (fill, &lookup) {
            fill.end(credential);
        }
        Ok(lookup)
    }

    /// Like [`Client::get_or_fetch`], but answers from this cache when it can. A
    /// credential that is due is handed out too; a fetch of the next one is
    /// started for it in the background, at most once a second.
    ///
    /// In an outage of the server it hands out what was fetched, as
    /// [`FetchOptions::keep_in_outage`](crate::FetchOptions::keep_in_outage) says:
    /// the bound of the near cache doesn't hold for that.
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

    /// [`get_or_fetch`](Self::get_or_fetch), with other settings.
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
        let space = self.space(namespace);
        let hit = space.and_then(|space| {
            let hit = space.lookup(key, options.least_left(), BootInstant::now)?;
            let renew = hit.is_due() && space.may_renew(key, BootInstant::now());
            Some((hit.credential, renew))
        });
        let Some((credential, renew)) = hit else {
            let space = space.map(|space| &**space);
            let begin = (Place::OwnTask, Flight::spawn as fn(_) -> _);
            let call = Call::new(client, (namespace, key), options, fetch, begin, space);
            return call.run().await;
        };
        client.metrics.record(Measured::NearHit);
        if renew {
            let (client, namespace, key) = (client.clone(), namespace.to_owned(), key.to_owned());
            // What is kept is still good: an outage is no reason to fetch.
            let options = options.on_outage(OnOutage::Fail);
            tokio::spawn(async move {
                let begin = (Place::OwnTask, Flight::spawn as fn(_) -> _);
                let call = Call::new(&client, (&namespace, &key), options, fetch, begin, None);
                let _ = call.run().await;
            });
        }
        Ok(credential)
    }

    /// Waits until every namespace is watched, without which nothing is kept.
    /// Waits for ever for a server that isn't there, or that refuses.
    ///
    /// Cancel safe.
    pub async fn watching(&self) {
        for space in &self.0.spaces {
            let mut established = space.established.subscribe();
            // The sender is in the space, which is borrowed.
            let _ = established.wait_for(|established| *established).await;
        }
    }

    /// What has been done for a namespace; `None` if it isn't watched.
    pub fn stats(&self, namespace: &str) -> Option<NearStats> {
        self.space(namespace).map(|space| space.stats())
    }

    // There are few: going through them is quicker than hashing.
    fn space(&self, namespace: &str) -> Option<&Arc<Space>> {
        let mut spaces = self.0.spaces.iter();
        spaces.find(|space| space.namespace == namespace)
    }
}

impl fmt::Debug for NearCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearCache")
            .field("spaces", &self.0.spaces)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`NearCache`].
#[derive(Clone, Debug)]
pub struct NearBuilder {
    client: Client,
    namespaces: Vec<String>,
    capacity: u64,
    heartbeat_bound: Duration,
}

impl NearBuilder {
    /// Adds a namespace to watch and to keep credentials of: one of a few, for
    /// each has a watch of its own.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        if !self.namespaces.contains(&namespace) {
            self.namespaces.push(namespace);
        }
        self
    }

    /// How many bytes to keep of each namespace, with what an entry takes beside
    /// its own. Default: 16 MiB. A credential of the largest size that a server
    /// may be set to store takes 1.1 MB: with less capacity than that, such a
    /// credential is asked for each time.
    #[must_use]
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// How long the watch may be silent before nothing kept is used any more: as
    /// long as a revocation may go unnoticed when the connection breaks. Heartbeats
    /// come every second, so much less than 2 seconds, the default, keeps asking
    /// the server.
    #[must_use]
    pub fn heartbeat_bound(mut self, heartbeat_bound: Duration) -> Self {
        self.heartbeat_bound = heartbeat_bound;
        self
    }

    /// Begins to watch. Must be called within a tokio runtime.
    pub fn build(self) -> NearCache {
        let bound = self.heartbeat_bound;
        let spaces: Box<[_]> = self
            .namespaces
            .into_iter()
            .map(|namespace| Arc::new(Space::new(namespace, self.capacity, bound)))
            .collect();
        let followers = spaces
            .iter()
            .map(|space| Follower::new(self.client.clone(), Arc::clone(space), bound))
            .map(|follower| tokio::spawn(follower.run()).abort_handle())
            .collect();
        NearCache(Arc::new(Inner {
            client: self.client,
            spaces,
            followers,
        }))
    }
}

/// What a [`NearCache`] has done for one namespace, and holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearStats {
    /// Lookups answered here.
    pub hits: u64,
    /// Lookups for which the server had to be asked.
    pub misses: u64,
    /// How often everything was forgotten because events were lost or the server
    /// was another instance.
    pub resets: u64,
    /// Credentials held. Those that are over or void count until their memory is
    /// taken back.
    pub entries: usize,
    /// What they take, in bytes.
    pub used_bytes: u64,
}
