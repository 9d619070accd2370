//! One Get, as it is sent and answered.

use std::time::Duration;

use crate::{
    Client, Error,
    clock::BootInstant,
    judged::Unjudged,
    lookup::{GetOptions, Lookup, LookupResponse},
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::Delivery,
    wire,
};

/// The longest wait that the server counts.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

impl Client {
    /// Sends one Get. The credential of its answer may have expired on its way.
    pub(crate) async fn ask(
        &self,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<LookupResponse<Unjudged>, Error> {
        let wait = options.wait.map(|wait| wait.min(LONGEST_WAIT));
        let request = proto::GetRequest {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            min_ttl: options.min_ttl.map(wire::span),
            acquire_lease: options.acquire_lease,
            wait: None,
            lease_ttl: options.lease_ttl.map(wire::span),
        };
        let called = BootInstant::now();
        // An attempt waits only for what earlier attempts left of the wait.
        let message = || {
            let passed = BootInstant::now().since(called);
            let wait = wait.map(|wait| wire::span(wait.saturating_sub(passed)));
            Ok(proto::GetRequest {
                wait,
                ..request.clone()
            })
        };
        let timeout = self.timeout.saturating_add(wait.unwrap_or_default());
        let (response, sent) = self
            .with_timeout(timeout)
            .call(Delivery::Read, message, |channel, request| async move {
                Stub::new(channel).get(request).await
            })
            .await?;
        let answer = LookupResponse::parse(response, sent)?;
        self.count(&answer.lookup);
        if let Lookup::Hit(credential) = &answer.lookup {
            self.learn_server_clock(credential.seen(), sent);
        }
        Ok(answer)
    }
}
