//! Revoking credentials.

use crate::{
    Client, Error,
    invalidate::{InvalidateOptions, Invalidated, Target},
    proto::credential_cache_service_client::CredentialCacheServiceClient as Stub,
    retry::Delivery,
};

impl Client {
    /// Revokes credentials. Once this has returned, the server answers no Get with
    /// a matching credential that was put before.
    ///
    /// ```no_run
    /// use credcache_client::{Client, Target};
    ///
    /// # async fn example(client: Client) -> Result<(), credcache_client::Error> {
    /// let invalidated = client.invalidate("oauth", Target::Tag("prod".into())).await?;
    /// println!("revoked {} credentials", invalidated.removed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// After a broken connection the revocation is repeated, and then reaches what
    /// was put in between too: it may remove too much, never too little.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if there is no answer after the retries, or if the
    /// server refuses. Where [`Refusal::earlier_attempt_lost`] is set, an earlier
    /// attempt may have been executed.
    ///
    /// # Cancel safety
    ///
    /// The server may still execute the call. Revoking again is safe.
    ///
    /// [`Refusal::earlier_attempt_lost`]: crate::Refusal::earlier_attempt_lost
    pub async fn invalidate(
        &self,
        namespace: impl Into<String>,
        target: Target,
    ) -> Result<Invalidated, Error> {
        self.invalidate_with(namespace, target, InvalidateOptions::default())
            .await
    }

    /// Like [`invalidate`](Self::invalidate), and refuses from now on what was
    /// issued up to the instant that the options name.
    ///
    /// # Errors
    ///
    /// Those of [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    ///
    /// The server may still execute the call. Revoking again is safe.
    pub async fn invalidate_with(
        &self,
        namespace: impl Into<String>,
        target: Target,
        options: InvalidateOptions,
    ) -> Result<Invalidated, Error> {
        let namespace = namespace.into();
        // Whatever comes of the call, this process uses no matching credential.
        self.fetch_state.outage_cache.revoke(&namespace, &target);
        let request = target.into_request(namespace, options);
        let (response, _) = self
            .call(
                Delivery::AtLeastOnce,
                || Ok(request.clone()),
                |channel, request| async move { Stub::new(channel).invalidate(request).await },
            )
            .await?;
        Ok(response.into())
    }
}
