//! Extending a lease, and giving it back.

use std::time::Duration;

use crate::{
    Client, Error,
    lease::{Lease, LeaseToken},
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::Delivery,
    wire,
};

impl Client {
    /// Extends a lease while its holder is still fetching. Returns how long the
    /// lease lasts from now: `ttl`, 1 second to 5 minutes, or less when the 10
    /// minutes from its grant are nearly over. `None` asks for the server's own
    /// `leases.ttl`.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use credcache_client::{Client, Lease};
    ///
    /// # async fn example(client: Client, lease: Lease) -> Result<(), credcache_client::Error> {
    /// let ttl = Duration::from_secs(3);
    /// let lasts = client.extend_lease("oauth", "billing", &lease.token, ttl).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The server refuses with `Aborted` and the reason `LEASE_LOST` if the lease is
    /// no longer the key's current one, and with `REVOKED` if it would refuse the
    /// credential that is being fetched under the lease.
    ///
    /// # Cancel safety
    ///
    /// The server may still execute the call. Extending again is safe.
    pub async fn extend_lease(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
        token: &LeaseToken,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<Duration, Error> {
        let request = proto::ExtendLeaseRequest {
            namespace: namespace.into(),
            key: key.into(),
            lease_token: token.clone().into_bytes(),
            lease_ttl: ttl.into().map(wire::span),
        };
        let (response, _) = self
            .call(
                Delivery::AtLeastOnce,
                || Ok(request.clone()),
                |channel, request| async move { Stub::new(channel).extend_lease(request).await },
            )
            .await?;
        wire::parse_span(response.ttl, "lease ttl")
    }

    /// Gives a lease back unused, so that the callers who wait for it don't wait
    /// for its end. With `retry_after` the key is in a cool-down for that long (5
    /// minutes at most), in which the server grants no other lease: the issuer is
    /// failing.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use credcache_client::{Client, Lease};
    ///
    /// # async fn example(client: Client, lease: Lease) -> Result<(), credcache_client::Error> {
    /// let cool_down = Duration::from_secs(30);
    /// client.abandon_lease("oauth", "billing", &lease, Some(cool_down)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The server refuses with `Aborted` and the reason `LEASE_LOST` if the lease is
    /// no longer the key's current one. After a broken connection that may be the
    /// effect of the first attempt.
    ///
    /// # Cancel safety
    ///
    /// The server may still execute the call. Abandoning again is safe.
    pub async fn abandon_lease(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
        lease: &Lease,
        retry_after: Option<Duration>,
    ) -> Result<(), Error> {
        let request = proto::AbandonLeaseRequest {
            namespace: namespace.into(),
            key: key.into(),
            lease_token: lease.token.clone().into_bytes(),
            retry_after: retry_after.map(wire::span),
        };
        self.call(
            Delivery::AtLeastOnce,
            || Ok(request.clone()),
            |channel, request| async move { Stub::new(channel).abandon_lease(request).await },
        )
        .await?;
        Ok(())
    }
}
