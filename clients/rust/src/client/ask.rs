//! One Get, as it is sent and answered.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{attempt::attempt, combine::Route};
use crate::{
    Client, Error,
    clock::BootInstant,
    judged::SharedCredential,
    lookup::{GetOptions, Lookup, LookupResponse},
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::Delivery,
    wire,
};

/// The longest wait that the server counts.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

impl Client {
    /// Sends one Get, together with others that are waiting to be sent if that makes no
    /// difference to its answer. The credential of the answer may have expired on its
    /// way.
    pub(crate) async fn ask(
        &self,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<LookupResponse<SharedCredential>, Error> {
        let name = (namespace, key);
        let wait = options.wait.map(|wait| wait.min(LONGEST_WAIT));
        let timeout = self.timeout.saturating_add(wait.unwrap_or_default());
        let called = BootInstant::now();
        let attempt = |left| async move {
            if let (None, false) = (wait, options.acquire_lease) {
                return self.get_once(name, options, left).await;
            }
            // An attempt waits only for what earlier attempts left of the wait.
            let wait = wait.map(|wait| wait.saturating_sub(BootInstant::now().since(called)));
            self.get_alone_once(name, GetOptions { wait, ..options }, left)
                .await
        };
        let answer = self.retry.run(Delivery::Read, timeout, attempt).await?;
        self.count(&answer.lookup);
        Ok(answer)
    }

    /// One attempt of a Get that may travel with others.
    async fn get_once(
        &self,
        name: (&str, &str),
        options: GetOptions,
        left: Duration,
    ) -> Result<LookupResponse<SharedCredential>, Error> {
        let Some(combiner) = &self.combiner else {
            return self.get_alone_once(name, options, left).await;
        };
        let deadline = Instant::now() + left;
        match combiner.route(name, options.min_ttl, deadline) {
            Route::Alone(_alone) => self.get_alone_once(name, options, left).await,
            Route::Together(answer) => match answer.await {
                Ok(answer) => answer.map(|lookup| LookupResponse {
                    lookup,
                    lease: None,
                }),
                Err(_) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.get_alone_once(name, options, left).await
                }
            },
        }
    }

    /// One attempt of a Get, in a message of its own.
    async fn get_alone_once(
        &self,
        (namespace, key): (&str, &str),
        options: GetOptions,
        left: Duration,
    ) -> Result<LookupResponse<SharedCredential>, Error> {
        let request = proto::GetRequest {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            min_ttl: options.min_ttl.map(wire::span),
            acquire_lease: options.acquire_lease,
            wait: options.wait.map(wire::span),
            lease_ttl: options.lease_ttl.map(wire::span),
        };
        let get = async |channel, request| Stub::new(channel).get(request).await;
        let channel = self.connections.next();
        let (response, sent) = attempt(channel, left, request, get).await?;
        let answer = LookupResponse::parse(response, sent)?;
        if let Lookup::Hit(credential) = &answer.lookup {
            self.learn_server_clock(credential.seen(), sent);
        }
        Ok(answer.map(|credential| credential.map(Arc::new)))
    }
}
