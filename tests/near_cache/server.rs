//! A server in this process, on the system's clocks.

use std::{net::SocketAddr, time::Duration};

use credcache::{
    config::{Config, ServeArgs},
    server::{self, BoundAddr, ServeError},
};
use credcache_client::{Client, Error};
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    outcome: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let file = "listen = ['127.0.0.1:0']\nshutdown.drain_timeout = '100ms'\n";
        let mut config = Config::from_sources(Some(file), [], &ServeArgs::default()).unwrap();
        // A holder whose link stalls must not keep other callers from fetching.
        config.limits.cache.lease_ttl = Duration::from_millis(300);
        let app = server::app(&config).unwrap();
        let bound = server::bind(&config).await.unwrap();
        let Some(BoundAddr::Tcp(address)) = bound.addresses().next().cloned() else {
            panic!("the first listener isn't TCP");
        };
        let (shutdown, stopped) = oneshot::channel();
        let outcome = tokio::spawn(bound.run(app, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            shutdown,
            outcome,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.outcome.await.unwrap().unwrap();
    }
}

pub(crate) async fn client(address: SocketAddr) -> Client {
    let connected: Result<_, Error> = Client::connect(&address.to_string()).await;
    connected.unwrap()
}
