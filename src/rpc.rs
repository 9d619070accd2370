//! The gRPC service: from messages to the core and back.
//!
//! Each rpc has a file of its name, which parses the whole request before anything is done, asks
//! the cache, and builds the response. The module `status` maps every error to a status. No
//! decision about credentials is made here.

mod abandon_lease;
mod batch;
mod batch_get;
mod batch_put;
mod connection_share;
mod credential;
mod extend_lease;
pub(crate) mod fast_path;
mod fields;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod get;
mod instance;
mod invalidate;
pub mod proto;
mod put;
mod received;
mod stats;
mod status;
#[cfg(test)]
mod tests;
mod timeout;
mod times;
mod watch;

use std::{pin::Pin, sync::Arc};

use credcache_core::{Cache, MAX_VALUE_LIMIT};
use tokio::sync::Semaphore;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

pub use self::{
    batch::{BatchGetRequest, BatchPutRequest},
    instance::Instance,
};
pub(crate) use self::{
    connection_share::ConnectionShare,
    status::Refusal,
    timeout::{MalformedTimeout, parse_timeout},
};
use self::{
    proto::credential_cache_service_server::{
        CredentialCacheService, CredentialCacheServiceServer, SERVICE_NAME,
    },
    received::Received,
    status::Failure,
};
use crate::clock::Clock;

/// The largest message in bytes, which the contract allows and clients accept. Only batches need so
/// much.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// The largest message without a value, in bytes. The longest key, 16 of the longest tags and all
/// attributes take 7 KiB; the rest is for callers that exceed a limit, and are told which.
const MAX_WITHOUT_VALUE: usize = 256 * 1024;
/// The largest message with one value, in bytes, whatever the configured `limits.max_value`.
const MAX_WITH_VALUE: usize = 1024 * 1024 + MAX_WITHOUT_VALUE;
const _: () = assert!(MAX_VALUE_LIMIT == 1024 * 1024);
/// What a response without a value is expected to have, in bytes. Those of Stats and reflection may
/// have more.
const RESPONSE_WITHOUT_VALUE: usize = 16 * 1024;
/// How many invalidations of more than one key run at once. A call may have to wait for a step of
/// each of them on its worker. With fewer, an invalidation that matches little would wait for
/// invalidations that match much.
const WIDE_AT_ONCE: usize = 4;

/// The credential cache as a gRPC service.
#[derive(Clone, Debug)]
pub struct Service {
    cache: Arc<Cache>,
    clock: Arc<Clock>,
    instance: Arc<Instance>,
    /// The permits of wide invalidations. Callers queue for them, and a caller that goes away
    /// leaves the queue.
    wide: Arc<Semaphore>,
    ending: CancellationToken,
}

/// How large the messages of a method are, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageLimits {
    /// The largest request.
    pub(crate) request: usize,
    /// The largest response, or what is expected where no response is large.
    pub(crate) response: usize,
}

impl Service {
    /// Creates the service of this cache and clock.
    #[must_use]
    pub fn new(cache: Arc<Cache>, clock: Arc<Clock>, instance: Instance) -> Self {
        Self {
            cache,
            clock,
            instance: Arc::new(instance),
            wide: Arc::new(Semaphore::new(WIDE_AT_ONCE)),
            ending: CancellationToken::new(),
        }
    }

    /// A token that is cancelled when the drain begins. Waiting Gets and Watches, which could go on
    /// for long, then end.
    #[must_use]
    pub fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }

    /// How large the messages of the method at this path are. Unknown fields have room.
    pub(crate) fn message_limits(path: &str) -> MessageLimits {
        let method = path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(SERVICE_NAME));
        let (request, response) = match method {
            Some("/BatchGet" | "/BatchPut") => (MAX_MESSAGE, MAX_MESSAGE),
            Some("/Put") => (MAX_WITH_VALUE, RESPONSE_WITHOUT_VALUE),
            Some("/Get") => (MAX_WITHOUT_VALUE, MAX_WITH_VALUE),
            _ => (MAX_WITHOUT_VALUE, RESPONSE_WITHOUT_VALUE),
        };
        MessageLimits { request, response }
    }

    /// The service in the form that tonic serves.
    #[must_use]
    pub fn into_server(self) -> CredentialCacheServiceServer<Self> {
        CredentialCacheServiceServer::new(self).max_decoding_message_size(MAX_MESSAGE)
    }
}

/// Each method is in the file of its rpc.
#[tonic::async_trait]
impl CredentialCacheService for Service {
    async fn get(
        &self,
        request: Request<proto::GetRequest>,
    ) -> Result<Response<proto::GetResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let share = extensions.get();
        answered(self.serve_get(&request, metadata.as_ref(), share).await)
    }

    async fn put(
        &self,
        request: Request<proto::PutRequest>,
    ) -> Result<Response<proto::PutResponse>, Status> {
        let request = Received::new(request.into_inner());
        answered(self.serve_put(&request))
    }

    async fn invalidate(
        &self,
        request: Request<proto::InvalidateRequest>,
    ) -> Result<Response<proto::InvalidateResponse>, Status> {
        answered(self.serve_invalidate(request.get_ref()).await)
    }

    async fn stats(
        &self,
        request: Request<proto::StatsRequest>,
    ) -> Result<Response<proto::StatsResponse>, Status> {
        answered(self.serve_stats(request.get_ref()))
    }

    async fn batch_get(
        &self,
        request: Request<BatchGetRequest>,
    ) -> Result<Response<proto::BatchGetResponse>, Status> {
        answered(self.serve_batch_get(request.get_ref()))
    }

    async fn batch_put(
        &self,
        request: Request<BatchPutRequest>,
    ) -> Result<Response<proto::BatchPutResponse>, Status> {
        let request = Received::new(request.into_inner());
        answered(self.serve_batch_put(&request).await)
    }

    async fn extend_lease(
        &self,
        request: Request<proto::ExtendLeaseRequest>,
    ) -> Result<Response<proto::ExtendLeaseResponse>, Status> {
        answered(self.serve_extend_lease(request.get_ref()))
    }

    async fn abandon_lease(
        &self,
        request: Request<proto::AbandonLeaseRequest>,
    ) -> Result<Response<proto::AbandonLeaseResponse>, Status> {
        answered(self.serve_abandon_lease(request.get_ref()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<proto::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<proto::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let events = self.serve_watch(&request, metadata.as_ref(), extensions.get());
        answered(events.map(|events| Box::pin(events) as Self::WatchStream))
    }
}

fn answered<T>(outcome: Result<T, Failure>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(Status::from)
}
