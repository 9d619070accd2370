//! What can be set before a client connects.

use std::{sync::Arc, time::Duration};

use super::{
    combine::Combiner,
    connections::{ConnectionSettings, Connections},
};
use crate::{
    Address, Client, Error,
    metrics::{Metrics, Recorder},
    retry::{LONGEST_TIMEOUT, Retry},
};

impl Client {
    /// Connects with the default settings to `host:port`, `http://host:port` or
    /// `unix:PATH`.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Address`] if `address` is none of these, and
    /// [`Error::Unreachable`] if the server isn't there, after one attempt.
    pub async fn connect(address: &str) -> Result<Self, Error> {
        Self::builder().connect(&address.parse()?).await
    }

    /// Returns the settings of a client, for changing them before it connects.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

/// Settings of a [`Client`], each with a default that suits a service.
///
/// ```no_run
/// use std::time::Duration;
///
/// use credcache_client::{Address, Client};
///
/// # async fn example() -> Result<(), credcache_client::Error> {
/// let client = Client::builder()
///     .timeout(Duration::from_secs(1))
///     .attempts(2)
///     // The server may come up after this program.
///     .connect_lazy(&Address::from_env()?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    connections: ConnectionSettings,
    timeout: Duration,
    retry: Retry,
    batch_gets: bool,
    metrics: Recorder,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            connections: ConnectionSettings {
                count: 2,
                connect_timeout: Duration::from_secs(2),
            },
            timeout: Duration::from_secs(5),
            retry: Retry { attempts: 4 },
            batch_gets: true,
            metrics: Recorder::default(),
        }
    }
}

impl ClientBuilder {
    /// How long making a connection may take. The default is 2 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connections.connect_timeout = connect_timeout;
        self
    }

    /// How long a call may take, its retries included; the server is told. The
    /// default is 5 seconds. More than a day counts as a day.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST_TIMEOUT);
        self
    }

    /// How many connections to spread the calls over. The default is 2; zero
    /// counts as 1.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections.count = connections.max(1);
        self
    }

    /// How many attempts a call makes in all while the server is unavailable or
    /// can't be reached. The default is 4; zero counts as 1, which means no
    /// retries. A Put whose outcome isn't known is attempted again only under a
    /// lease.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.retry.attempts = attempts.max(1);
        self
    }

    /// Whether Gets that are waiting to be sent at the same moment travel together, in
    /// one message to the server, which takes much less time there and here. The default
    /// is `true`.
    ///
    /// Nothing else changes for a caller. A Get that has no company is sent at once. Each
    /// Get is sent after it was called, keeps its own timeout and retries, and can be
    /// dropped without harm to the others. A Get that waits for another caller's fetch,
    /// or asks for a lease, travels alone, and so does one that
    /// [`get_or_fetch`](Client::get_or_fetch) makes.
    ///
    /// The server counts the Gets of a message as hits and misses one by one. A quota of
    /// calls counts the message.
    #[must_use]
    pub fn batch_gets(mut self, batch_gets: bool) -> Self {
        self.batch_gets = batch_gets;
        self
    }

    /// Reports to `metrics` what the client, its clones and its near caches do.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Recorder::new(metrics);
        self
    }

    /// Connects to the server.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Unreachable`] if the server isn't there, after one attempt.
    pub async fn connect(self, address: &Address) -> Result<Client, Error> {
        let connections = Connections::open(address, self.connections).await?;
        Ok(self.client(connections))
    }

    /// Returns a client that connects with its first call, for a server that may
    /// come up later. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Address`] if the address can't be used.
    pub fn connect_lazy(self, address: &Address) -> Result<Client, Error> {
        let connections = Connections::lazy(address, self.connections)?;
        Ok(self.client(connections))
    }

    fn client(self, connections: Connections) -> Client {
        let connections = Arc::new(connections);
        let server_clock = Arc::default();
        let combiner = self
            .batch_gets
            .then(|| Combiner::new(Arc::clone(&connections), Arc::clone(&server_clock)));
        Client {
            connections,
            combiner: combiner.map(Arc::new),
            timeout: self.timeout,
            retry: self.retry,
            fetch_state: Arc::default(),
            server_clock,
            metrics: self.metrics,
        }
    }
}
