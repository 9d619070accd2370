//! Getting a credential: `get`, `get_with` and `lookup`.

use std::sync::Arc;

use tokio::time::Instant;

use super::ask::LONGEST_WAIT;
use crate::{
    Client, Credential, Error,
    fetch::source::{Source, Uncached},
    lookup::{GetOptions, Lookup, LookupResponse},
};

impl Client {
    /// Gets the live credential of a key, or why there is none. A miss is not an
    /// error.
    ///
    /// ```no_run
    /// use credcache_client::{Client, Lookup};
    ///
    /// # async fn example(client: Client) -> Result<(), credcache_client::Error> {
    /// match client.get("oauth", "billing").await? {
    ///     Lookup::Hit(credential) => println!("valid for {:?}", credential.remaining()),
    ///     Lookup::Miss(miss) => println!("miss: {:?}", miss.reason),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A hit is live when it is returned: one that expired while its answer was
    /// under way is requested once more, and then counts as a miss.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if there is no answer, after the retries that a Get
    /// allows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a Get changes nothing.
    pub async fn get(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
    ) -> Result<Lookup, Error> {
        self.get_with(namespace, key, GetOptions::default()).await
    }

    /// Like [`get`](Self::get), with conditions on what is good enough, or waiting
    /// for another caller's fetch. Never acquires a lease.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a Get without a lease changes nothing.
    pub async fn get_with(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
        options: GetOptions,
    ) -> Result<Lookup, Error> {
        let options = options.acquire_lease(false);
        let response = self.lookup(namespace, key, options).await?;
        Ok(response.lookup)
    }

    /// Like [`get_with`](Self::get_with), and acquires the key's lease if the
    /// options ask for it and nobody else holds it.
    /// [`get_or_fetch`](Self::get_or_fetch) does all that a lease entails.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use credcache_client::{Client, GetOptions, Lifetime, Put, Secret};
    ///
    /// # async fn example(client: Client) -> Result<(), credcache_client::Error> {
    /// let options = GetOptions::default().acquire_lease(true);
    /// let response = client.lookup("oauth", "billing", options).await?;
    /// if let Some(lease) = response.lease {
    ///     // This caller fetches, for the whole mesh.
    ///     let token = Secret::new("what the identity provider answers");
    ///     let lifetime = Lifetime::Ttl(Duration::from_secs(900));
    ///     let put = Put::new("oauth", "billing", token, lifetime).lease(&lease);
    ///     client.put(put).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// A lease whose answer is lost, because the connection breaks or this future
    /// is dropped, runs out in its own time: until then the key is `Pending` for
    /// every caller.
    pub async fn lookup(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
        options: GetOptions,
    ) -> Result<LookupResponse, Error> {
        let (namespace, key) = (namespace.into(), key.into());
        let response = self
            .lookup_from(&Uncached, &namespace, &key, options)
            .await?;
        Ok(response.map(Arc::unwrap_or_clone))
    }

    /// Looks a key up at `source`; a hit is live when it is returned.
    pub(crate) async fn lookup_from(
        &self,
        source: &impl Source,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<LookupResponse<Arc<Credential>>, Error> {
        let min_ttl = options.min_ttl.unwrap_or_default();
        let wait = options.wait.unwrap_or_default().min(LONGEST_WAIT);
        let deadline = Instant::now() + self.timeout.saturating_add(wait);
        let mut response = source.lookup(self, namespace, key, options).await?;
        // The credential expired on its way here, and by now the server may have
        // the next one. If there is no better answer, it is a miss.
        if response.lookup.is_late(min_ttl)
            && response.lease.is_none()
            && let Ok(client) = self.until(deadline)
        {
            let options = GetOptions {
                wait: None,
                ..options
            };
            let second = source.lookup(&client, namespace, key, options).await;
            response = second.unwrap_or(response);
        }
        Ok(response.judge(min_ttl))
    }
}
