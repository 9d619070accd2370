//! The server around the rpcs: listeners, workers, connection limits, health, reflection, and the
//! drain.
//!
//! Accepting never stops before shutdown. A peer that sends or reads nothing occupies a connection
//! only for seconds. A drain ends in bounded time. The module `rpc` implements the calls.

mod accept;
mod announce;
mod authority;
mod bound_addr;
mod call_policy;
mod calls;
mod connection;
mod descriptors;
mod drain;
mod frame_meter;
mod health;
mod listener;
mod log_throttle;
mod methods;
mod reclaimer;
mod reflection;
mod signals;
mod slot;
mod stranger;
mod timeouts;
mod unix_socket;
mod workers;

use std::{io, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{info, warn};

pub use bound_addr::BoundAddr;
pub use timeouts::Timeouts;

use self::{
    announce::announce,
    call_policy::CallPolicy,
    calls::Calls,
    connection::{Bounds, Transport, memory::ServerMemory},
    drain::Drain,
    listener::Listener,
    methods::Methods,
    reclaimer::Reclaimer,
    signals::{Signals, Stop},
    slot::Slots,
    workers::{Lost, Workers},
};
use credcache_core::{Cache, TierError};

use crate::{
    clock::Clock,
    config::{Config, ListenAddr},
    rpc::{Instance, Service},
};

/// The time for cut connections to end.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// Why the server didn't run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The server can't listen on an address.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// The address.
        address: ListenAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// Signals can't be received.
    #[error("can't receive signals: {0}")]
    Signals(io::Error),
    /// The descriptors of the services can't be read.
    #[error("can't set up reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The methods of the services can't be read.
    #[error("can't read the descriptors of the services: {0}")]
    Descriptors(#[from] prost::DecodeError),
    /// The system gives no random bytes for the instance's id.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The system gives no thread, or no runtime for it.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
    /// A thread that serves connections panicked.
    #[error("a worker is lost")]
    WorkerLost,
    /// The tier configuration was rejected.
    #[error(transparent)]
    Tiers(#[from] TierError),
}

/// Serves a cache as configured until SIGTERM or SIGINT, then drains. A second SIGTERM or SIGINT,
/// at least a second later, ends the drain at once; SIGQUIT ends the server at once at any time.
/// SIGHUP does nothing.
///
/// Prints each bound address to stdout, as `listening on ADDR`.
///
/// # Errors
/// The server can't start, or a worker is lost. A drain that took too long isn't an error.
pub async fn serve(config: &Config) -> Result<(), ServeError> {
    let app = app(config)?;
    // Installed before the addresses are printed, because a reader of the addresses may send a
    // signal.
    let mut signals = Signals::install().map_err(ServeError::Signals)?;
    descriptors::raise_limit();
    let bound = tokio::select! {
        bound = bind(config) => bound?,
        stop = signals.stop() => {
            info!(?stop, "stopping before listening");
            return Ok(());
        }
    };
    announce(bound.addresses());
    let drain = CancellationToken::new();
    let signalled = async {
        // Awaited outside of the log macros, which don't evaluate their fields where the level is
        // off.
        let signal = match signals.stop().await {
            Stop::AtOnce(signal) => signal,
            Stop::Drain(signal, asked) => {
                info!(signal, "stopping");
                drain.cancel();
                signals.force(asked).await
            }
        };
        warn!(signal, "ending at once");
    };
    tokio::select! {
        outcome = bound.run(app, drain.cancelled()) => outcome,
        () = signalled => Ok(()),
    }
}

/// The service that [`Bound::run`] serves, with its background work.
#[derive(Debug)]
pub struct App {
    service: Service,
    /// Cancelled when the drain begins.
    ending: CancellationToken,
    reclaimer: Option<Reclaimer>,
}

/// An app that doesn't reclaim expired credentials: the owner of the service's cache does.
impl From<Service> for App {
    fn from(service: Service) -> Self {
        Self {
            ending: service.ending(),
            service,
            reclaimer: None,
        }
    }
}

/// Creates an empty cache as configured, on the system's clocks, with a reclaimer that runs while
/// the cache is served.
///
/// # Errors
/// The tier configuration was rejected, or the system gives no random bytes.
pub fn app(config: &Config) -> Result<App, ServeError> {
    let clock = Arc::new(Clock::System);
    let cache = Arc::new(Cache::new(config.tiers.clone(), config.limits.cache)?);
    let instance = Instance::new(clock.now().wall)?;
    let reclaimer = Reclaimer::new(cache.clone(), clock.clone());
    Ok(App {
        reclaimer: Some(reclaimer),
        ..Service::new(cache, clock, instance).into()
    })
}

/// Binds every configured address, or none.
///
/// # Errors
/// An address is in use, doesn't exist, or isn't allowed.
pub async fn bind(config: &Config) -> Result<Bound, ServeError> {
    let mut listeners = Vec::with_capacity(config.listen.len());
    for address in &config.listen {
        let listener =
            Listener::bind(address, config)
                .await
                .map_err(|source| ServeError::Bind {
                    address: address.clone(),
                    source,
                })?;
        listeners.push(listener);
    }
    Ok(Bound {
        listeners,
        workers: config.workers,
        max_connections: config.limits.max_connections,
        memory: in_memory(config.limits.memory),
        bounds: Bounds {
            max_streams: config.limits.max_streams,
            memory: in_memory(config.limits.connection_memory),
            max_age: config.max_age,
            timeouts: Timeouts::default(),
        },
        drain_timeout: config.drain_timeout,
    })
}

/// A number of bytes, or as many as there can be.
fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Bound listeners. Clients can already connect, but no call is answered before [`run`](Self::run).
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<Listener>,
    workers: u32,
    max_connections: u32,
    /// The memory of all connections together, in bytes.
    memory: usize,
    bounds: Bounds,
    drain_timeout: Duration,
}

impl Bound {
    /// The addresses in configured order, with the ports that the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = &BoundAddr> {
        self.listeners.iter().map(Listener::address)
    }

    /// Sets the timeouts for peers.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.bounds.timeouts = timeouts;
        self
    }

    /// Serves `app`, health and reflection until `shutdown`, then drains: health reports
    /// NOT_SERVING, the listeners close, and calls in flight finish. Connections that are left
    /// after the drain timeout are cut.
    ///
    /// # Errors
    /// The server can't start, or a worker is lost. A drain that took too long isn't an error.
    ///
    /// # Cancel safety
    /// Dropping the future closes the listeners and cuts the connections.
    pub async fn run(self, app: App, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (drain, draining) = Drain::new();
        let routes = Routes::new(app.service.clone().into_server());
        let routes = reflection::add_to(routes)?.add_service(health::service(draining.clone()));
        let policy = CallPolicy::new(draining);
        let calls = Calls::new(
            app.service,
            routes.prepare(),
            policy,
            Methods::all()?,
            self.bounds.timeouts,
        );
        let (finish, cut) = (CancellationToken::new(), CancellationToken::new());
        let _cut_if_dropped = cut.clone().drop_guard();
        let transport = Transport::new(
            calls,
            self.bounds,
            Arc::new(ServerMemory::new(self.memory)),
            finish.clone(),
            cut.clone(),
        );
        let (workers, ends) =
            Workers::start(self.workers, &transport, app.reclaimer).map_err(ServeError::Thread)?;
        let workers = Arc::new(workers);

        let max_connections = descriptors::affordable_connections(self.max_connections) as usize;
        let slots = Slots::new(max_connections);
        let open = || slots.taken();
        let mut acceptors = JoinSet::new();
        for listener in self.listeners {
            acceptors.spawn(accept::run(listener, slots.clone(), workers.clone()));
        }
        // The workers end once no acceptor can hand them a socket.
        drop(workers);

        let stop = async {
            shutdown.await;
            drain.begin();
            app.ending.cancel();
            acceptors.shutdown().await;
            info!(connections = open(), "drain begins");
            finish.cancel();
            tokio::time::sleep(self.drain_timeout).await;
            warn!(
                connections = open(),
                "drain took too long: cutting connections"
            );
            cut.cancel();
            // The workers now end by themselves. A worker that doesn't is left to the end of the
            // process: no peer decides how long a drain takes.
            tokio::time::sleep(CUT_GRACE).await;
        };
        tokio::select! {
            ended = ends.all() => ended.map_err(|Lost| ServeError::WorkerLost)?,
            () = stop => {}
        }
        if cut.is_cancelled() {
            warn!(left = open(), "drain was cut short");
        } else {
            info!("drained");
        }
        Ok(())
    }
}
