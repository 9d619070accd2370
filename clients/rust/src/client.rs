//! A client of one server, and the path of every call: through retry, to a connection
//! and back.
//!
//! Each call stands in a file of its own, below `client/`. The types of its request and
//! its answer stand beside this file.

mod ask;
mod attempt;
mod batch_get;
mod batch_put;
pub(crate) mod builder;
mod combine;
mod connections;
mod environment;
mod get;
pub(crate) mod health;
mod invalidate;
mod lease;
mod put;
pub(crate) mod stats;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tonic::{Request, Response, Status, transport::Channel};

use crate::{
    Credential, Error,
    clock::BootInstant,
    fetch::state::FetchState,
    lookup::Lookup,
    metrics::{MetricEvent, Recorder},
    retry::{Delivery, LONGEST_TIMEOUT, Retry},
    server_clock::ServerClock,
};
use combine::Combiner;
use connections::Connections;

/// A client of one server.
///
/// A clone is cheap and shares the connections. Every call is cancel safe for the
/// client: dropping its future leaves the client usable, although the server may still
/// execute the call.
///
/// ```no_run
/// use std::time::Duration;
///
/// use credcache_client::{Client, Lookup};
///
/// # async fn example() -> Result<(), credcache_client::Error> {
/// let client = Client::connect("unix:/run/credcache/credcache.sock").await?;
/// // One call may take less time than the others.
/// let impatient = client.with_timeout(Duration::from_millis(200));
/// match impatient.get("oauth", "billing").await? {
///     Lookup::Hit(credential) => println!("valid for {:?}", credential.remaining()),
///     Lookup::Miss(miss) => println!("miss: {:?}", miss.reason),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) connections: Arc<Connections>,
    /// Unless each Get is to travel alone.
    pub(crate) combiner: Option<Arc<Combiner>>,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
    pub(crate) fetch_state: Arc<FetchState>,
    pub(crate) server_clock: Arc<ServerClock>,
    pub(crate) metrics: Recorder,
}

impl Client {
    /// Returns the same client with another timeout for its calls, retries
    /// included. More than a day counts as a day.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout: timeout.min(LONGEST_TIMEOUT),
            ..self.clone()
        }
    }

    /// Returns the same client, with the time left until `deadline` as its timeout.
    pub(crate) fn until(&self, deadline: Instant) -> Result<Self, Error> {
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::DeadlineExceeded),
            left => Ok(self.with_timeout(left)),
        }
    }

    /// Reports the server's answer to a Get to the metrics.
    pub(crate) fn count<C>(&self, lookup: &Lookup<C>) {
        self.metrics.record(match lookup {
            Lookup::Hit(_) => MetricEvent::Hit,
            Lookup::Miss(miss) => MetricEvent::Miss(miss.reason),
        });
    }

    /// Learns the server's clock from a credential that was received just now, in
    /// answer to a request sent at `sent`.
    pub(crate) fn learn_server_clock(&self, credential: &Credential, sent: BootInstant) {
        let ttl = credential.deadline.since(sent);
        self.server_clock.received(credential.expires_at, ttl, sent);
    }

    /// Makes one call. Each attempt makes its message anew, just before it is sent,
    /// and takes the next connection. Returns the response, and the instant just
    /// before the attempt that succeeded was sent.
    pub(crate) async fn call<Message, Reply, Rpc>(
        &self,
        delivery: Delivery,
        message: impl Fn() -> Result<Message, Error>,
        rpc: impl Fn(Channel, Request<Message>) -> Rpc,
    ) -> Result<(Reply, BootInstant), Error>
    where
        Rpc: Future<Output = Result<Response<Reply>, Status>>,
    {
        let (message, rpc) = (&message, &rpc);
        let attempt = |left| async move {
            attempt::attempt(self.connections.next(), left, message()?, rpc).await
        };
        self.retry.run(delivery, self.timeout, attempt).await
    }
}
