//! What can be set before a client connects.

use std::{sync::Arc, time::Duration};

use crate::{
    Address, Client, Error,
    connections::{ConnectionSettings, Connections},
    metrics::{Metrics, Recorder},
    retry::Retry,
};

/// Settings of a [`Client`], each with a default that suits a service.
#[derive(Clone, Debug)]
pub struct Builder {
    connections: ConnectionSettings,
    timeout: Duration,
    retry: Retry,
    metrics: Recorder,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            connections: ConnectionSettings {
                count: 2,
                connect_timeout: Duration::from_secs(2),
            },
            timeout: Duration::from_secs(5),
            retry: Retry { attempts: 4 },
            metrics: Recorder::default(),
        }
    }
}

impl Builder {
    /// How long making a connection may take. Default: 2 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connections.connect_timeout = connect_timeout;
        self
    }

    /// How long a call may take, its retries included; the server is told.
    /// Default: 5 seconds; more than a day counts as a day.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST_TIMEOUT);
        self
    }

    /// How many connections to spread the calls over. Default: 2; zero counts
    /// as 1.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections.count = connections.max(1);
        self
    }

    /// How often a call is tried in all while the server is unavailable or
    /// can't be reached. Default: 4; zero counts as 1, which means no retries.
    /// A Put whose outcome isn't known is tried again only under a lease.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.retry.attempts = attempts.max(1);
        self
    }

    /// Tells `metrics` what the client, its clones and its near caches do.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Recorder::new(metrics);
        self
    }

    /// Connects, and fails with [`Error::Unreachable`] if the server isn't
    /// there, after one try.
    pub async fn connect(self, address: &Address) -> Result<Client, Error> {
        let connections = Connections::open(address, self.connections).await?;
        Ok(self.client(connections))
    }

    /// A client that connects with its first call, for a server that may come
    /// up later. Must be called within a tokio runtime.
    pub fn connect_lazy(self, address: &Address) -> Result<Client, Error> {
        let connections = Connections::lazy(address, self.connections)?;
        Ok(self.client(connections))
    }

    fn client(self, connections: Connections) -> Client {
        Client {
            connections: Arc::new(connections),
            timeout: self.timeout,
            retry: self.retry,
            fetches: Arc::default(),
            server_clock: Arc::default(),
            metrics: self.metrics,
        }
    }
}

// grpc-timeout and the runtime's timers both end somewhere; nobody waits so long.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
