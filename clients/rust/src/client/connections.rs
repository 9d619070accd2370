//! A few connections to one server, used in turn: an HTTP/2 connection has a single
//! mutex, for which many threads would queue.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use crate::{Address, Error};

/// How the connections are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionSettings {
    /// The number of connections; at least 1.
    pub(crate) count: usize,
    pub(crate) connect_timeout: Duration,
}

/// Connections that reconnect when a call finds them broken.
#[derive(Debug)]
pub(crate) struct Connections {
    channels: Box<[Channel]>,
    turn: AtomicUsize,
}

/// An idle connection is probed too, so that a vanished server is noticed before the
/// next call has to wait for it.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

impl Connections {
    /// Connections that are made when they are first used.
    pub(crate) fn lazy(address: &Address, settings: ConnectionSettings) -> Result<Self, Error> {
        let endpoint = endpoint(address, settings)?;
        let channels = (0..settings.count.max(1))
            .map(|_| endpoint.connect_lazy())
            .collect();
        Ok(Self {
            channels,
            turn: AtomicUsize::new(0),
        })
    }

    /// Connections of which the first is made now, to prove that the server is there.
    pub(crate) async fn open(
        address: &Address,
        settings: ConnectionSettings,
    ) -> Result<Self, Error> {
        let endpoint = endpoint(address, settings)?;
        // The endpoint's own connect timeout doesn't cover a Unix socket.
        let first = timeout(settings.connect_timeout, endpoint.connect())
            .await
            .map_err(|elapsed| Error::Unreachable(elapsed.into()))?
            .map_err(|error| Error::Unreachable(error.into()))?;
        let rest = (1..settings.count).map(|_| endpoint.connect_lazy());
        let channels = std::iter::once(first).chain(rest).collect();
        Ok(Self {
            channels,
            turn: AtomicUsize::new(0),
        })
    }

    /// How many connections there are; at least 1.
    pub(crate) fn count(&self) -> usize {
        self.channels.len()
    }

    /// The connection with this number, counted from 0.
    pub(crate) fn at(&self, number: usize) -> Channel {
        self.channels[number % self.channels.len()].clone()
    }

    /// The connection whose turn it is.
    pub(crate) fn next(&self) -> Channel {
        self.at(self.turn.fetch_add(1, Ordering::Relaxed))
    }
}

fn endpoint(address: &Address, settings: ConnectionSettings) -> Result<Endpoint, Error> {
    Ok(address
        .endpoint()?
        .connect_timeout(settings.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}
