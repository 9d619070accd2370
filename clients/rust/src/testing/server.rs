//! A server in the test's own process.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};

use super::store::{Answer, Store, miss};
use crate::{
    Address, Client, Error, clock,
    proto::{self, watch_response::Event},
    wire,
};

#[allow(missing_docs, unreachable_pub, dead_code, clippy::all)]
mod served {
    include!("../generated/server.rs");
}

use served::credential_cache_service_server::{
    CredentialCacheService, CredentialCacheServiceServer,
};

/// How many events a watcher may be behind before it is told of a gap.
const EVENTS: usize = 1024;
const BETWEEN_HEARTBEATS: Duration = Duration::from_secs(1);

/// A server for tests, on a port of its own, with an empty cache that ends with
/// it.
///
/// It speaks the contract as far as a client can tell: lifetimes, versions,
/// preconditions, leases and those who wait for them, revocations and watches. It
/// knows one tier, pushes nothing out, and keeps the memory of revocations for
/// ever; so it is for tests alone.
#[derive(Debug)]
pub struct Server {
    address: Address,
    client: Client,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    /// Starts to serve. Must be called within a tokio runtime.
    pub async fn start() -> Result<Self, Error> {
        let bound = TcpListener::bind("127.0.0.1:0").await;
        let listener = bound.map_err(|error| Error::Unreachable(error.into()))?;
        let address = listener.local_addr();
        let address = address.map_err(|error| Error::Unreachable(error.into()))?;
        let address: Address = address.to_string().parse()?;
        let client = Client::builder().connect_lazy(&address)?;
        let state = Arc::new(State {
            store: Mutex::default(),
            changed: watch::Sender::new(()),
            events: broadcast::Sender::new(EVENTS),
            away: watch::Sender::new(false),
            instance_id: format!("testing-{}", fastrand::u64(..)),
        });
        let service = CredentialCacheServiceServer::from_arc(Arc::new(Service(state.clone())));
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

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A client of it, with the default settings: the same one each time.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether it answers every call as one would that is going away, and ends
    /// every watch. What it holds stays.
    pub fn set_away(&self, away: bool) {
        self.state.away.send_replace(away);
    }

    /// How many Gets it has answered, batches not counted.
    pub fn gets(&self) -> u64 {
        self.state.store().gets
    }

    /// How many credentials were stored.
    pub fn puts(&self) -> u64 {
        self.state.store().puts
    }
}

struct State {
    store: Mutex<Store>,
    /// For those who wait: something may be there.
    changed: watch::Sender<()>,
    /// Each with its namespace. Sent with the store locked.
    events: broadcast::Sender<(String, proto::WatchResponse)>,
    away: watch::Sender<bool>,
    instance_id: String,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    // Never held over an await.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> Result<(), Status> {
        match *self.away.borrow() {
            true => Err(Status::unavailable("the test's server is away")),
            false => Ok(()),
        }
    }

    fn put(&self, request: proto::PutRequest) -> Result<proto::PutResponse, Status> {
        let mut store = self.store();
        let (namespace, key) = (request.namespace.clone(), request.key.clone());
        let response = store.put(request)?;
        let version = response.version;
        self.tell(
            namespace,
            Event::Replaced(proto::Replaced { key, version }),
            version,
        );
        Ok(response)
    }

    /// With the store locked, so that events come in the order of revisions.
    fn tell(&self, namespace: String, event: Event, revision: u64) {
        let event = Some(event);
        let _ = self
            .events
            .send((namespace, proto::WatchResponse { event, revision }));
        self.changed.send_replace(());
    }

    fn heartbeat(&self) -> proto::WatchResponse {
        let instance_id = self.instance_id.clone();
        proto::WatchResponse {
            event: Some(Event::Heartbeat(proto::Heartbeat { instance_id })),
            revision: self.store().revision,
        }
    }

    fn reset(&self) -> proto::WatchResponse {
        let instance_id = self.instance_id.clone();
        proto::WatchResponse {
            event: Some(Event::Reset(proto::Reset { instance_id })),
            revision: self.store().revision,
        }
    }

    /// Ends with the watcher, with the server, or when it goes away.
    async fn watch(
        self: Arc<Self>,
        request: proto::WatchRequest,
        mut events: broadcast::Receiver<(String, proto::WatchResponse)>,
        to: mpsc::Sender<Result<proto::WatchResponse, Status>>,
    ) {
        let mut away = self.away.subscribe();
        let first = self.heartbeat();
        let is_new = request.instance_id.is_empty() || request.start_revision == 0;
        let is_known =
            request.instance_id == self.instance_id && request.start_revision == first.revision;
        let first = if is_new || is_known {
            first
        } else {
            self.reset()
        };
        if to.send(Ok(first)).await.is_err() {
            return;
        }
        let mut next = Instant::now() + BETWEEN_HEARTBEATS;
        loop {
            let event = tokio::select! {
                _ = away.wait_for(|away| *away) => return,
                () = to.closed() => return,
                event = timeout_at(next, events.recv()) => event,
            };
            let message = match event {
                Ok(Ok((namespace, _))) if namespace != request.namespace => continue,
                Ok(Ok((_, event))) => event,
                Ok(Err(broadcast::error::RecvError::Lagged(_))) => {
                    events = self.events.subscribe();
                    self.reset()
                }
                Ok(Err(broadcast::error::RecvError::Closed)) => return,
                Err(_) => {
                    next = Instant::now() + BETWEEN_HEARTBEATS;
                    // What was told since is still to be read.
                    if !events.is_empty() {
                        continue;
                    }
                    self.heartbeat()
                }
            };
            if to.send(Ok(message)).await.is_err() {
                return;
            }
        }
    }
}

struct Service(Arc<State>);

#[tonic::async_trait]
impl CredentialCacheService for Service {
    type WatchStream = ReceiverStream<Result<proto::WatchResponse, Status>>;

    async fn get(
        &self,
        request: Request<proto::GetRequest>,
    ) -> Result<Response<proto::GetResponse>, Status> {
        let request = request.into_inner();
        let wait = wire::parse_span(request.wait, "wait").unwrap_or_default();
        let until = Instant::now() + wait;
        let mut changed = self.0.changed.subscribe();
        self.0.store().gets += 1;
        loop {
            self.0.present()?;
            let answer = self.0.store().get(&request);
            let lease_ends = match answer {
                Answer::Now(response) => return Ok(Response::new(*response)),
                Answer::Pending(lease_ends) => lease_ends,
            };
            if Instant::now() >= until {
                let retry_after = Some(Duration::from_secs(1));
                let pending = miss(proto::MissReason::Pending, retry_after, None);
                return Ok(Response::new(pending));
            }
            let _ = timeout_at(until.min(lease_ends), changed.changed()).await;
        }
    }

    async fn put(
        &self,
        request: Request<proto::PutRequest>,
    ) -> Result<Response<proto::PutResponse>, Status> {
        self.0.present()?;
        self.0.put(request.into_inner()).map(Response::new)
    }

    async fn extend_lease(
        &self,
        request: Request<proto::ExtendLeaseRequest>,
    ) -> Result<Response<proto::ExtendLeaseResponse>, Status> {
        self.0.present()?;
        let ttl = self.0.store().extend(request.get_ref())?;
        Ok(Response::new(proto::ExtendLeaseResponse {
            ttl: Some(wire::span(ttl)),
        }))
    }

    async fn abandon_lease(
        &self,
        request: Request<proto::AbandonLeaseRequest>,
    ) -> Result<Response<proto::AbandonLeaseResponse>, Status> {
        self.0.present()?;
        self.0.store().abandon(request.get_ref())?;
        self.0.changed.send_replace(());
        Ok(Response::new(proto::AbandonLeaseResponse::default()))
    }

    async fn invalidate(
        &self,
        request: Request<proto::InvalidateRequest>,
    ) -> Result<Response<proto::InvalidateResponse>, Status> {
        use proto::{invalidate_request::Target as Asked, invalidated::Target as Told};
        self.0.present()?;
        let request = request.into_inner();
        let namespace = request.namespace.clone();
        let target = request.target.clone().map(|target| match target {
            Asked::Key(key) => Told::Key(key),
            Asked::KeyPrefix(prefix) => Told::KeyPrefix(prefix),
            Asked::Tag(tag) => Told::Tag(tag),
            Asked::All(all) => Told::All(all),
        });
        let mut store = self.0.store();
        let response = store.invalidate(request)?;
        let event = Event::Invalidated(proto::Invalidated { target });
        self.0.tell(namespace, event, response.revision);
        Ok(Response::new(response))
    }

    async fn stats(
        &self,
        _: Request<proto::StatsRequest>,
    ) -> Result<Response<proto::StatsResponse>, Status> {
        self.0.present()?;
        let store = self.0.store();
        Ok(Response::new(proto::StatsResponse {
            server: Some(proto::ServerInfo {
                version: env!("CARGO_PKG_VERSION").into(),
                instance_id: self.0.instance_id.clone(),
                started_at: Some(clock::wall_now().into()),
            }),
            puts: store.puts,
            revision: store.revision,
            ..Default::default()
        }))
    }

    async fn batch_get(
        &self,
        request: Request<proto::BatchGetRequest>,
    ) -> Result<Response<proto::BatchGetResponse>, Status> {
        use proto::{batch_get_result::Outcome, get_response::Outcome as Single};
        self.0.present()?;
        let request = request.into_inner();
        let mut store = self.0.store();
        let results = request.keys.into_iter().map(|key| {
            let answer = store.get(&proto::GetRequest {
                namespace: request.namespace.clone(),
                key,
                min_ttl: request.min_ttl,
                ..Default::default()
            });
            let outcome = match answer {
                Answer::Now(response) => response.outcome,
                Answer::Pending(_) => miss(proto::MissReason::Pending, None, None).outcome,
            };
            let outcome = outcome.map(|outcome| match outcome {
                Single::Credential(credential) => Outcome::Credential(credential),
                Single::Miss(miss) => Outcome::Miss(miss),
            });
            proto::BatchGetResult { outcome }
        });
        let results = results.collect();
        Ok(Response::new(proto::BatchGetResponse { results }))
    }

    async fn batch_put(
        &self,
        request: Request<proto::BatchPutRequest>,
    ) -> Result<Response<proto::BatchPutResponse>, Status> {
        use proto::batch_put_result::Outcome;
        self.0.present()?;
        let requests = request.into_inner().requests;
        let results = requests.into_iter().map(|request| {
            let outcome = match self.0.put(request) {
                Ok(response) => Outcome::Response(response),
                Err(status) => Outcome::Error(tonic_types::pb::Status {
                    code: status.code().into(),
                    message: status.message().to_owned(),
                    details: Vec::new(),
                }),
            };
            let outcome = Some(outcome);
            proto::BatchPutResult { outcome }
        });
        let results = results.collect();
        Ok(Response::new(proto::BatchPutResponse { results }))
    }

    async fn watch(
        &self,
        request: Request<proto::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.0.present()?;
        let (to, stream) = mpsc::channel(16);
        let events = self.0.events.subscribe();
        let state = Arc::clone(&self.0);
        tokio::spawn(state.watch(request.into_inner(), events, to));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
