//! A server that answers nothing by itself: each call is handed to the test,
//! which sees what was asked and says what to answer, and when.

use std::time::Duration;

use credcache_client::{Address, Client, ClientBuilder};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Request, Response, Status, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};

#[allow(missing_docs, unreachable_pub, dead_code, clippy::all)]
mod generated {
    include!("../../src/generated/server.rs");
}

use crate::proto::*;
use generated::credential_cache_service_server::{
    CredentialCacheService, CredentialCacheServiceServer,
};

pub(crate) type Events = mpsc::Sender<Result<WatchResponse, Status>>;

/// A call that waits for its answer.
pub(crate) struct Call<Message, Reply> {
    pub(crate) request: Message,
    reply: oneshot::Sender<Result<Reply, Status>>,
}

impl<Message, Reply> Call<Message, Reply> {
    /// In vain if the caller has gone.
    pub(crate) fn answer(self, answer: Reply) {
        let _ = self.reply.send(Ok(answer));
    }

    pub(crate) fn refuse(self, code: Code, reason: &str) {
        let details = ErrorDetails::with_error_info(reason, "credcache", []);
        self.fail(Status::with_error_details(code, "", details));
    }

    /// A field of the request breaks a rule.
    pub(crate) fn refuse_field(self, field: &str) {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "credcache", []);
        details.add_bad_request_violation(field, "breaks a rule");
        self.fail(Status::with_error_details(
            Code::InvalidArgument,
            "",
            details,
        ));
    }

    pub(crate) fn fail(self, status: Status) {
        let _ = self.reply.send(Err(status));
    }

    /// Waits until the call is cancelled.
    pub(crate) async fn cancelled(mut self) {
        self.reply.closed().await;
    }
}

/// A question for one key or for several.
pub(crate) enum Question {
    Get(Call<GetRequest, GetResponse>),
    BatchGet(Call<BatchGetRequest, BatchGetResponse>),
}

pub(crate) struct Fake {
    pub(crate) address: Address,
    gets: mpsc::Receiver<Call<GetRequest, GetResponse>>,
    puts: mpsc::Receiver<Call<PutRequest, PutResponse>>,
    abandons: mpsc::Receiver<Call<AbandonLeaseRequest, AbandonLeaseResponse>>,
    extensions: mpsc::Receiver<Call<ExtendLeaseRequest, ExtendLeaseResponse>>,
    batch_gets: mpsc::Receiver<Call<BatchGetRequest, BatchGetResponse>>,
    watches: mpsc::Receiver<Call<WatchRequest, mpsc::Receiver<Result<WatchResponse, Status>>>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let (get, gets) = mpsc::channel(64);
        let (put, puts) = mpsc::channel(64);
        let (abandon, abandons) = mpsc::channel(64);
        let (extend, extensions) = mpsc::channel(64);
        let (batch_get, batch_gets) = mpsc::channel(64);
        let (watch, watches) = mpsc::channel(64);
        let service = CredentialCacheServiceServer::new(Handle {
            get,
            put,
            abandon,
            extend,
            batch_get,
            watch,
        });
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        Self {
            address,
            gets,
            puts,
            abandons,
            extensions,
            batch_gets,
            watches,
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(Client::builder().timeout(Duration::from_secs(20)))
    }

    pub(crate) fn client_with(&self, builder: ClientBuilder) -> Client {
        builder.connect_lazy(&self.address).unwrap()
    }

    pub(crate) async fn get(&mut self) -> Call<GetRequest, GetResponse> {
        next(&mut self.gets).await
    }

    /// A Get that has been asked already, if there is one.
    pub(crate) fn asked(&mut self) -> Option<Call<GetRequest, GetResponse>> {
        self.gets.try_recv().ok()
    }

    pub(crate) async fn put(&mut self) -> Call<PutRequest, PutResponse> {
        next(&mut self.puts).await
    }

    pub(crate) async fn abandon(&mut self) -> Call<AbandonLeaseRequest, AbandonLeaseResponse> {
        next(&mut self.abandons).await
    }

    pub(crate) async fn extension(&mut self) -> Call<ExtendLeaseRequest, ExtendLeaseResponse> {
        next(&mut self.extensions).await
    }

    pub(crate) async fn batch_get(&mut self) -> Call<BatchGetRequest, BatchGetResponse> {
        next(&mut self.batch_gets).await
    }

    /// The next Get or BatchGet.
    pub(crate) async fn question(&mut self) -> Question {
        tokio::select! {
            get = next(&mut self.gets) => Question::Get(get),
            batch = next(&mut self.batch_gets) => Question::BatchGet(batch),
        }
    }

    /// Accepts the next watch.
    pub(crate) async fn watch(&mut self) -> (WatchRequest, Events) {
        let call = self.asked_to_watch().await;
        let (events, stream) = mpsc::channel(64);
        let request = call.request.clone();
        call.answer(stream);
        (request, events)
    }

    /// The next watch, not accepted yet.
    pub(crate) async fn asked_to_watch(
        &mut self,
    ) -> Call<WatchRequest, mpsc::Receiver<Result<WatchResponse, Status>>> {
        next(&mut self.watches).await
    }

    /// Whether nothing has been asked that wasn't answered.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.gets.try_recv().is_err()
            && self.puts.try_recv().is_err()
            && self.abandons.try_recv().is_err()
            && self.extensions.try_recv().is_err()
            && self.batch_gets.try_recv().is_err()
    }
}

pub(crate) const TTL: Duration = Duration::from_secs(600);

pub(crate) fn span(span: Duration) -> prost_types::Duration {
    span.try_into().unwrap()
}

/// A hit with this long to live.
pub(crate) fn hit_for(value: &'static str, version: u64, ttl: Duration) -> GetResponse {
    let mut hit = hit(value, version);
    if let Some(get_response::Outcome::Credential(credential)) = &mut hit.outcome {
        credential.ttl = Some(span(ttl));
    }
    hit
}

pub(crate) fn hit(value: &'static str, version: u64) -> GetResponse {
    let end = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let credential = Credential {
        value: value.into(),
        expires_at: Some(end.into()),
        ttl: Some(span(TTL)),
        refresh_at: Some((end - TTL / 2).into()),
        version,
        tier: "15-minutes".into(),
        ..Default::default()
    };
    GetResponse {
        outcome: Some(get_response::Outcome::Credential(credential)),
        lease: None,
    }
}

/// The same answer, in a batch.
pub(crate) fn result(answer: GetResponse) -> BatchGetResult {
    let outcome = answer.outcome.map(|outcome| match outcome {
        get_response::Outcome::Credential(hit) => batch_get_result::Outcome::Credential(hit),
        get_response::Outcome::Miss(miss) => batch_get_result::Outcome::Miss(miss),
    });
    BatchGetResult { outcome }
}

pub(crate) fn miss(reason: MissReason, retry_after: Option<Duration>) -> GetResponse {
    let miss = Miss {
        reason: reason.into(),
        retry_after: retry_after.map(span),
    };
    GetResponse {
        outcome: Some(get_response::Outcome::Miss(miss)),
        lease: None,
    }
}

pub(crate) fn pending() -> GetResponse {
    miss(MissReason::Pending, Some(Duration::from_secs(1)))
}

/// The same answer, and a lease.
pub(crate) fn leased(mut answer: GetResponse, token: &'static str) -> GetResponse {
    answer.lease = Some(Lease {
        token: token.into(),
        ttl: Some(span(Duration::from_secs(10))),
    });
    answer
}

/// A miss, and a lease that lasts this long.
pub(crate) fn granted_for(token: &'static str, ttl: Duration) -> GetResponse {
    let mut answer = granted(token);
    if let Some(lease) = &mut answer.lease {
        lease.ttl = Some(span(ttl));
    }
    answer
}

pub(crate) fn granted(token: &'static str) -> GetResponse {
    leased(miss(MissReason::NotFound, None), token)
}

pub(crate) fn sent(event: watch_response::Event, revision: u64) -> Result<WatchResponse, Status> {
    Ok(WatchResponse {
        event: Some(event),
        revision,
    })
}

pub(crate) fn heartbeat(instance_id: &str, revision: u64) -> Result<WatchResponse, Status> {
    let instance_id = instance_id.to_owned();
    let heartbeat = watch_response::Event::Heartbeat(Heartbeat { instance_id });
    sent(heartbeat, revision)
}

pub(crate) fn invalidated(
    target: invalidated::Target,
    revision: u64,
) -> Result<WatchResponse, Status> {
    let target = Some(target);
    let invalidated = watch_response::Event::Invalidated(Invalidated { target });
    sent(invalidated, revision)
}

pub(crate) fn stored(version: u64) -> PutResponse {
    let end = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    PutResponse {
        version,
        tier: "15-minutes".into(),
        expires_at: Some(end.into()),
    }
}

struct Handle {
    get: mpsc::Sender<Call<GetRequest, GetResponse>>,
    put: mpsc::Sender<Call<PutRequest, PutResponse>>,
    abandon: mpsc::Sender<Call<AbandonLeaseRequest, AbandonLeaseResponse>>,
    extend: mpsc::Sender<Call<ExtendLeaseRequest, ExtendLeaseResponse>>,
    batch_get: mpsc::Sender<Call<BatchGetRequest, BatchGetResponse>>,
    watch: mpsc::Sender<Call<WatchRequest, mpsc::Receiver<Result<WatchResponse, Status>>>>,
}

async fn ask<Message, Reply>(
    test: &mpsc::Sender<Call<Message, Reply>>,
    request: Request<Message>,
) -> Result<Response<Reply>, Status> {
    let gone = || Status::internal("the test is over");
    let (reply, answer) = oneshot::channel();
    let request = request.into_inner();
    let call = Call { request, reply };
    test.send(call).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?.map(Response::new)
}

#[tonic::async_trait]
impl CredentialCacheService for Handle {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        ask(&self.get, request).await
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        ask(&self.put, request).await
    }

    async fn abandon_lease(
        &self,
        request: Request<AbandonLeaseRequest>,
    ) -> Result<Response<AbandonLeaseResponse>, Status> {
        ask(&self.abandon, request).await
    }

    async fn extend_lease(
        &self,
        request: Request<ExtendLeaseRequest>,
    ) -> Result<Response<ExtendLeaseResponse>, Status> {
        ask(&self.extend, request).await
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let events = ask(&self.watch, request).await?;
        Ok(events.map(ReceiverStream::new))
    }

    async fn invalidate(
        &self,
        _: Request<InvalidateRequest>,
    ) -> Result<Response<InvalidateResponse>, Status> {
        Err(Status::unimplemented("no test asks for it"))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        Err(Status::unimplemented("no test asks for it"))
    }

    async fn batch_get(
        &self,
        request: Request<BatchGetRequest>,
    ) -> Result<Response<BatchGetResponse>, Status> {
        ask(&self.batch_get, request).await
    }

    async fn batch_put(
        &self,
        _: Request<BatchPutRequest>,
    ) -> Result<Response<BatchPutResponse>, Status> {
        Err(Status::unimplemented("no test asks for it"))
    }
}

/// The next of these, which a test that has failed would await for ever.
async fn next<T>(sent: &mut mpsc::Receiver<T>) -> T {
    const NEVER: Duration = Duration::from_secs(30);
    let sent = timeout(NEVER, sent.recv()).await;
    sent.expect("what was awaited never came").unwrap()
}
