//! A few connections to one server, used in turn: one HTTP/2 connection has one
//! mutex, which many threads would queue for.

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
    /// How many; at least 1.
    pub(crate) count: usize,
    pub(crate) connect_timeout: Duration,
}

/// Every connection reconnects by itself when a call finds it gone.
#[derive(Debug)]
pub(crate) struct Connections {
    channels: Box<[Channel]>,
    turn: AtomicUsize,
}

/// An idle connection is probed as well, so that a server which vanished is
/// noticed before the next call has to wait for it.
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

    /// Connections of which the first is made now, as a proof that the server
    /// is there.
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

    /// The connection whose turn it is.
    pub(crate) fn next(&self) -> Channel {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.channels[turn % self.channels.len()].clone()
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
