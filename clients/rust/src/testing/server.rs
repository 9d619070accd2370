//! A server in the test's own process.

use std::sync::Arc;

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;

use super::{service::service, state::ServerState};
use crate::{Address, Client, Error};

/// A server for tests, on a port of its own, with an empty cache that ends with the
/// server.
///
/// ```
/// use std::time::Duration;
///
/// use credcache_client::{Lifetime, Put, Secret, testing};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let server = testing::Server::start().await.unwrap();
/// let client = server.client();
/// let lifetime = Lifetime::Ttl(Duration::from_secs(60));
/// client.put(Put::new("oauth", "billing", Secret::new("token"), lifetime)).await.unwrap();
/// assert!(client.get("oauth", "billing").await.unwrap().hit().is_some());
/// assert_eq!((server.puts(), server.gets()), (1, 1));
/// # });
/// ```
///
/// The server speaks the contract as far as a client can tell: lifetimes, versions,
/// preconditions, leases and the callers who wait for them, revocations and watches.
/// It has a single tier, evicts nothing, and remembers revocations forever, so it is
/// for tests alone.
#[derive(Debug)]
pub struct Server {
    address: Address,
    client: Client,
    state: Arc<ServerState>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    /// Starts a server. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Unreachable`] if no port can be bound.
    pub async fn start() -> Result<Self, Error> {
        let bound = TcpListener::bind("127.0.0.1:0").await;
        let listener = bound.map_err(|error| Error::Unreachable(error.into()))?;
        let address = listener.local_addr();
        let address = address.map_err(|error| Error::Unreachable(error.into()))?;
        let address: Address = address.to_string().parse()?;
        let client = Client::builder().connect_lazy(&address)?;
        let state = Arc::new(ServerState::new());
        let service = service(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let server = tonic::transport::Server::builder().add_service(service);
            let _ = server.serve_with_incoming(incoming).await;
        });
        Ok(Self {
            address,
            client,
            state,
            serving,
        })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns a client of the server, with the default settings: the same client each
    /// time.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Sets whether the server is unavailable: then it refuses every call and ends
    /// every watch, but keeps what it stores.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.state.unavailable.send_replace(unavailable);
    }

    /// Returns how many Gets the server has received, batches not counted.
    pub fn gets(&self) -> u64 {
        self.state.store().gets
    }

    /// Returns how many credentials were stored.
    pub fn puts(&self) -> u64 {
        self.state.store().puts
    }
}
