//! The calls of the test's server.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    state::ServerState,
    store::{GetAnswer, miss},
};
use crate::{
    clock,
    proto::{self, watch_response::Event},
    wire,
};

#[allow(missing_docs, unreachable_pub, dead_code, clippy::all)]
mod generated {
    include!("../generated/server.rs");
}

use generated::credential_cache_service_server::{
    CredentialCacheService, CredentialCacheServiceServer,
};

/// The service, as a transport serves it.
pub(super) fn service(
    state: Arc<ServerState>,
) -> CredentialCacheServiceServer<impl CredentialCacheService> {
    CredentialCacheServiceServer::new(TestService(state))
}

struct TestService(Arc<ServerState>);

#[tonic::async_trait]
impl CredentialCacheService for TestService {
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
            self.0.check_available()?;
            let answer = self.0.store().get(&request);
            let lease_ends = match answer {
                GetAnswer::Response(response) => return Ok(Response::new(*response)),
                GetAnswer::Pending(lease_ends) => lease_ends,
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
        self.0.check_available()?;
        self.0.put(request.into_inner()).map(Response::new)
    }

    async fn extend_lease(
        &self,
        request: Request<proto::ExtendLeaseRequest>,
    ) -> Result<Response<proto::ExtendLeaseResponse>, Status> {
        self.0.check_available()?;
        let ttl = self.0.store().extend(request.get_ref())?;
        Ok(Response::new(proto::ExtendLeaseResponse {
            ttl: Some(wire::span(ttl)),
        }))
    }

    async fn abandon_lease(
        &self,
        request: Request<proto::AbandonLeaseRequest>,
    ) -> Result<Response<proto::AbandonLeaseResponse>, Status> {
        self.0.check_available()?;
        self.0.store().abandon(request.get_ref())?;
        self.0.changed.send_replace(());
        Ok(Response::new(proto::AbandonLeaseResponse::default()))
    }

    async fn invalidate(
        &self,
        request: Request<proto::InvalidateRequest>,
    ) -> Result<Response<proto::InvalidateResponse>, Status> {
        use proto::{invalidate_request::Target as Asked, invalidated::Target as Told};
        self.0.check_available()?;
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
        self.0.send_event(namespace, event, response.revision);
        Ok(Response::new(response))
    }

    async fn stats(
        &self,
        _: Request<proto::StatsRequest>,
    ) -> Result<Response<proto::StatsResponse>, Status> {
        self.0.check_available()?;
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
        self.0.check_available()?;
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
                GetAnswer::Response(response) => response.outcome,
                GetAnswer::Pending(_) => miss(proto::MissReason::Pending, None, None).outcome,
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
        self.0.check_available()?;
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
        self.0.check_available()?;
        let (to, stream) = mpsc::channel(16);
        let events = self.0.events.subscribe();
        let state = Arc::clone(&self.0);
        tokio::spawn(state.watch(request.into_inner(), events, to));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
