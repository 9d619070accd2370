//! Settings of a near cache.

use std::{sync::Arc, time::Duration};

use super::{cache::NearCache, namespace_cache::NamespaceCache};
use crate::Client;

impl NearCache {
    /// Returns the settings of a near cache, to which at least one namespace must be
    /// added.
    pub fn builder(client: Client) -> NearCacheBuilder {
        NearCacheBuilder {
            client,
            namespaces: Vec::new(),
            capacity: 16 * 1024 * 1024,
            heartbeat_bound: Duration::from_secs(2),
        }
    }
}

/// Settings of a [`NearCache`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use credcache_client::{Client, NearCache};
///
/// # async fn example(client: Client) {
/// let near = NearCache::builder(client)
///     .namespace("aws")
///     .namespace("oauth")
///     .capacity(64 * 1024 * 1024)
///     .heartbeat_bound(Duration::from_secs(3))
///     .build();
/// near.watching().await;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NearCacheBuilder {
    client: Client,
    namespaces: Vec<String>,
    capacity: u64,
    heartbeat_bound: Duration,
}

impl NearCacheBuilder {
    /// Adds a namespace to watch, and to cache credentials of. Each namespace has a
    /// watch of its own, so there should be few.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        if !self.namespaces.contains(&namespace) {
            self.namespaces.push(namespace);
        }
        self
    }

    /// How many bytes to cache of each namespace, overhead included. The default is 16
    /// MiB. A credential of the largest size that a server may be set to store takes
    /// 1.1 MB: with less capacity than that, such a credential is never cached.
    #[must_use]
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// How long the watch may be silent before cached credentials are no longer used:
    /// as long as a revocation may go unnoticed when the connection breaks. The
    /// default is 2 seconds. Heartbeats come every second, so with much less than 2
    /// seconds most lookups ask the server.
    #[must_use]
    pub fn heartbeat_bound(mut self, heartbeat_bound: Duration) -> Self {
        self.heartbeat_bound = heartbeat_bound;
        self
    }

    /// Builds the near cache, and begins to watch. Must be called within a tokio runtime.
    pub fn build(self) -> NearCache {
        let bound = self.heartbeat_bound;
        let namespaces = self
            .namespaces
            .into_iter()
            .map(|namespace| Arc::new(NamespaceCache::new(namespace, self.capacity, bound)))
            .collect();
        NearCache::start(self.client, bound, namespaces)
    }
}
