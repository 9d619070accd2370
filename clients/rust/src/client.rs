//! The calls. Each is one round through retry, a connection and the parsing of
//! the answer; what a message means is said in the module of its type.

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status, transport::Channel};

use crate::{
    Error, GetOptions, Health, Invalidated, Lookup, Put, Stats, Stored, Target,
    builder::{Builder, LONGEST_TIMEOUT},
    clock::BootInstant,
    connections::Connections,
    health,
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    put,
    retry::{Delivery, Retry},
};

/// A client of one server.
///
/// A clone is cheap and shares the connections. Every call is cancel safe for
/// the client: dropping its future leaves the client usable, though the server
/// may still carry the call out.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) connections: Arc<Connections>,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
}

impl Client {
    /// Connects with the default settings to `host:port`, `http://host:port` or
    /// `unix:PATH`.
    ///
    /// Fails with [`Error::Address`] if `address` is none of these, and with
    /// [`Error::Unreachable`] if the server isn't there.
    pub async fn connect(address: &str) -> Result<Self, Error> {
        Self::builder().connect(&address.parse()?).await
    }

    /// Settings other than the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The same client with another timeout for its calls, retries included;
    /// more than a day counts as a day.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout: timeout.min(LONGEST_TIMEOUT),
            ..self.clone()
        }
    }

    /// The live credential of a key, or why there is none. A miss is no error.
    pub async fn get(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
    ) -> Result<Lookup, Error> {
        self.get_with(namespace, key, GetOptions::default()).await
    }

    /// [`get`](Self::get), with conditions on what is good enough.
    pub async fn get_with(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
        options: GetOptions,
    ) -> Result<Lookup, Error> {
        let request = proto::GetRequest {
            namespace: namespace.into(),
            key: key.into(),
            min_ttl: options.min_ttl.map(crate::wire::span),
            ..Default::default()
        };
        let (response, sent) = self
            .call(
                Delivery::AtLeastOnce,
                || Ok(request.clone()),
                |channel, request| async move { Stub::new(channel).get(request).await },
            )
            .await?;
        Lookup::parse(response, sent)
    }

    /// Stores a credential in place of whatever the key held.
    ///
    /// Carried out once at most: retried only if the server certainly hasn't
    /// stored it, lest a second attempt bring back what was revoked or replaced
    /// since the first. Every attempt asks for what is left of a relative
    /// lifetime; [`Error::LifetimeEnded`] if that is nothing.
    pub async fn put(&self, put: Put) -> Result<Stored, Error> {
        let called = BootInstant::now();
        let ttl = put.ttl();
        let request = put.into_request();
        let (response, _) = self
            .call(
                Delivery::AtMostOnce,
                || put::aged(request.clone(), ttl, BootInstant::now().since(called)),
                |channel, request| async move { Stub::new(channel).put(request).await },
            )
            .await?;
        Stored::parse(response)
    }

    /// Revokes credentials. Once this has returned, the server answers no Get
    /// with a matching credential that was put before.
    ///
    /// After a broken connection it is carried out again, and then reaches what
    /// was put meanwhile too: it may remove too much, never too little.
    pub async fn invalidate(
        &self,
        namespace: impl Into<String>,
        target: Target,
    ) -> Result<Invalidated, Error> {
        let request = target.into_request(namespace.into());
        let (response, _) = self
            .call(
                Delivery::AtLeastOnce,
                || Ok(request.clone()),
                |channel, request| async move { Stub::new(channel).invalidate(request).await },
            )
            .await?;
        Ok(response.into())
    }

    /// The server's counters, in all or for one namespace.
    pub async fn stats(&self, namespace: Option<&str>) -> Result<Stats, Error> {
        let request = proto::StatsRequest {
            namespace: namespace.unwrap_or_default().to_owned(),
        };
        let (response, _) = self
            .call(
                Delivery::AtLeastOnce,
                || Ok(request.clone()),
                |channel, request| async move { Stub::new(channel).stats(request).await },
            )
            .await?;
        Stats::parse(response)
    }

    /// Whether the server takes calls.
    pub async fn health(&self) -> Result<Health, Error> {
        let (response, _) = self
            .call(
                Delivery::AtLeastOnce,
                || Ok(health::HealthCheckRequest::default()),
                health::check,
            )
            .await?;
        Ok(response.into())
    }

    /// One call: each attempt makes its message anew, just before it is sent, and
    /// takes the next connection. Answers with the instant just before the
    /// attempt that succeeded was sent.
    pub(crate) async fn call<Message, Answer, Rpc>(
        &self,
        delivery: Delivery,
        message: impl Fn() -> Result<Message, Error>,
        rpc: impl Fn(Channel, Request<Message>) -> Rpc,
    ) -> Result<(Answer, BootInstant), Error>
    where
        Rpc: Future<Output = Result<Response<Answer>, Status>>,
    {
        let (message, rpc) = (&message, &rpc);
        let attempt = |left| async move {
            let mut request = Request::new(message()?);
            request.set_timeout(left);
            let sent = BootInstant::now();
            let response = rpc(self.connections.next(), request).await?;
            Ok((response.into_inner(), sent))
        };
        self.retry.run(delivery, self.timeout, attempt).await
    }
}
