//! The calls. Each is one round through retry, a connection and the parsing of
//! the answer; what a message means is said in the module of its type.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tonic::{Request, Response, Status, transport::Channel};

use crate::{
    Answer, Credential, Error, GetOptions, Health, InvalidateOptions, Invalidated, Lease,
    LeaseToken, Lookup, Stats, Target,
    builder::{Builder, LONGEST_TIMEOUT},
    clock::BootInstant,
    connections::Connections,
    fetch::Fetches,
    health,
    judged::Unjudged,
    metrics::{Measured, Recorder},
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::{Delivery, Retry},
    server_clock::ServerClock,
    wire,
};

/// The longest wait that the server counts.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

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
    pub(crate) fetches: Arc<Fetches>,
    pub(crate) server_clock: Arc<ServerClock>,
    pub(crate) metrics: Recorder,
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
    ///
    /// A hit is live when it is returned: one that ended while its answer was
    /// under way is asked for once more, and then is a miss.
    pub async fn get(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
    ) -> Result<Lookup, Error> {
        self.get_with(namespace, key, GetOptions::default()).await
    }

    /// [`get`](Self::get), with conditions on what is good enough, or waiting for
    /// somebody else's fetch. Never asks for a lease.
    pub async fn get_with(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
        options: GetOptions,
    ) -> Result<Lookup, Error> {
        let options = options.acquire_lease(false);
        let answer = self.lookup(namespace, key, options).await?;
        Ok(answer.lookup)
    }

    /// [`get_with`](Self::get_with), and the key's lease if it is asked for and
    /// free. [`get_or_fetch`](Self::get_or_fetch) does all that a lease entails.
    ///
    /// A lease whose answer is lost, because the connection breaks or this
    /// future is dropped, runs out in its own time: the attempt that follows, as
    /// anybody else's, finds the key `Pending`, or waits for its end.
    pub async fn lookup(
        &self,
        namespace: impl Into<String>,
        key: impl Into<String>,
        options: GetOptions,
    ) -> Result<Answer, Error> {
        let (namespace, key) = (namespace.into(), key.into());
        let least_left = options.min_ttl.unwrap_or_default();
        let wait = options.wait.unwrap_or_default().min(LONGEST_WAIT);
        let deadline = Instant::now() + self.timeout.saturating_add(wait);
        let mut answer = self.ask(&namespace, &key, options).await?;
        // It ended on its way here, and by now the server may have the next one.
        // If there is no better answer, that is a miss.
        if answer.lookup.is_late(least_left)
            && answer.lease.is_none()
            && let Ok(client) = self.until(deadline)
        {
            let options = GetOptions {
                wait: None,
                ..options
            };
            answer = client
                .ask(&namespace, &key, options)
                .await
                .unwrap_or(answer);
        }
        Ok(answer.judge(least_left))
    }

    /// One Get, whose answer may have grown old on its way.
    pub(crate) async fn ask(
        &self,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<Answer<Unjudged>, Error> {
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
        // What earlier attempts waited isn't waited again.
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
        let answer = Answer::parse(response, sent)?;
        self.count(&answer.lookup);
        if let Lookup::Hit(credential) = &answer.lookup {
            self.server_clock_shown_by(credential.seen(), sent);
        }
        Ok(answer)
    }

    pub(crate) fn count<C>(&self, lookup: &Lookup<C>) {
        self.metrics.record(match lookup {
            Lookup::Hit(_) => Measured::Hit,
            Lookup::Miss(miss) => Measured::Miss(miss.reason),
        });
    }

    /// A credential was answered just now to what was sent then.
    pub(crate) fn server_clock_shown_by(&self, credential: &Credential, sent: BootInstant) {
        let ttl = credential.deadline.since(sent);
        if let Some(shown) = credential.expires_at.checked_sub(ttl) {
            self.server_clock.showed(shown, sent, BootInstant::now());
        }
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
        self.invalidate_with(namespace, target, InvalidateOptions::default())
            .await
    }

    /// [`invalidate`](Self::invalidate), and what was issued up to some instant
    /// is refused from now on.
    pub async fn invalidate_with(
        &self,
        namespace: impl Into<String>,
        target: Target,
        options: InvalidateOptions,
    ) -> Result<Invalidated, Error> {
        let namespace = namespace.into();
        // Whatever comes of the call: this process knows better than to use it.
        self.fetches.kept.revoke(&namespace, &target);
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

    /// Tells the server that the lease's holder is still fetching, and answers
    /// with how long the lease lasts from now: `ttl`, 1 second to 5 minutes, or
    /// less where the 10 minutes from its grant are nearly over. `None` asks for
    /// the server's own `leases.ttl`.
    ///
    /// `Aborted` with the reason `LEASE_LOST` if the lease isn't the key's
    /// current one any more, with `REVOKED` if what is being fetched under it
    /// would be refused.
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

    /// Gives a lease back unused, so that those who wait for it needn't wait for
    /// its end. With `retry_after` the server grants no other for that long
    /// (5 minutes at most): the issuer is failing.
    ///
    /// `Aborted` with the reason `LEASE_LOST` if it isn't the key's current one
    /// any more; after a broken connection that may be the first attempt's doing.
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

    /// The server's counters, in all or for one namespace.
    pub async fn stats(&self, namespace: Option<&str>) -> Result<Stats, Error> {
        let request = proto::StatsRequest {
            namespace: namespace.unwrap_or_default().to_owned(),
        };
        let (response, _) = self
            .call(
                Delivery::Read,
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
                Delivery::Read,
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
