//! A server in this process on port 0, with a cache whose clock the test sets, and clients of the
//! server.

mod binary;
mod deaf_client;
mod manual_time;
mod raw_client;
mod raw_peer;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use credcache_core::Cache;

use credcache::{
    config::{Config, ServeArgs},
    rpc::{Instance, Service},
    server::{self, Bound, BoundAddr, ServeError},
};
use credcache_client::{
    Client, Stats, proto::credential_cache_service_client::CredentialCacheServiceClient,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

pub(crate) use self::{
    binary::{Server, credcache},
    deaf_client::DeafClient,
    manual_time::{ManualTime, START},
    raw_client::{CHECK, EMPTY_MESSAGE, RawClient, framed, serving_status, until_served},
    raw_peer::RawPeer,
};

/// The generated client.
pub(crate) type Stub = CredentialCacheServiceClient<Channel>;

/// Far longer than any test takes on the slowest machine: an event that hasn't happened by then
/// never will.
const NEVER: Duration = Duration::from_secs(30);

/// Awaits an event that has to happen. Fails where it would hang.
pub(crate) async fn within<T>(happening: impl Future<Output = T>) -> T {
    tokio::time::timeout(NEVER, happening)
        .await
        .expect("what was awaited never came")
}

/// A configuration on port 0, with further TOML tables.
pub(crate) fn config(tables: &str) -> Config {
    let file = format!("listen = ['127.0.0.1:0']\n{tables}");
    Config::from_sources(Some(&file), [], &ServeArgs::default()).unwrap()
}

/// Two tiers, of a minute and of an hour.
pub(crate) const TWO_TIERS: &str = "\
    [[tier]]\nname = 'short'\nmax_ttl = '1m'\ncapacity = '2MiB'\n\
    [[tier]]\nname = 'long'\nmax_ttl = '1h'\ncapacity = '2MiB'\n";

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// The server's only clock.
    pub(crate) time: ManualTime,
    /// The server's cache, for work that only the server's own threads do.
    pub(crate) cache: Arc<Cache>,
    shutdown: oneshot::Sender<()>,
    outcome: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub(crate) async fn start(config: &Config) -> Self {
        Self::run(server::bind(config).await.unwrap(), config)
    }

    pub(crate) fn run(bound: Bound, config: &Config) -> Self {
        let Some(BoundAddr::Tcp(address)) = bound.addresses().next().cloned() else {
            panic!("the first listener isn't TCP");
        };
        let time = ManualTime::new();
        let cache = Cache::new(config.tiers.clone(), config.limits.cache).unwrap();
        let instance = Instance::new(time.clock().now().wall).unwrap();
        let cache = Arc::new(cache);
        let service = Service::new(cache.clone(), time.clock(), instance);
        let (shutdown, stopped) = oneshot::channel();
        let outcome = tokio::spawn(bound.run(service.into(), async {
            let _ = stopped.await;
        }));
        Self {
            address,
            time,
            cache,
            shutdown,
            outcome,
        }
    }

    /// Reclaims expired entries and leases, as the reclaimer does a few times a second.
    pub(crate) fn reclaim(&self) {
        self.cache.reclaim(self.time.clock().now());
    }

    /// The client that services use.
    pub(crate) async fn client(&self) -> Client {
        within(Client::connect(&self.address.to_string()))
            .await
            .unwrap()
    }

    /// The generated client, for messages that the other client doesn't send.
    pub(crate) async fn stub(&self) -> Stub {
        CredentialCacheServiceClient::new(self.channel().await)
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::try_from(format!("http://{}", self.address)).unwrap();
        within(endpoint.connect()).await.unwrap()
    }

    /// Fails if anything is stored or ever was.
    pub(crate) async fn assert_nothing_was_stored(&self) {
        let stats = within(self.client().await.stats(None)).await.unwrap();
        assert_eq!(stats.puts, 0);
        assert_eq!(entries(&stats), 0);
    }

    /// Begins the drain. The handle ends when the server has ended.
    pub(crate) fn shut_down(self) -> JoinHandle<Result<(), ServeError>> {
        self.shutdown.send(()).unwrap();
        self.outcome
    }
}

/// The number of credentials in all tiers.
pub(crate) fn entries(stats: &Stats) -> u64 {
    stats.tiers.iter().map(|tier| tier.entries).sum()
}
