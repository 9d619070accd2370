//! Wire to domain and back: the service that tonic calls.
//!
//! Requests are parsed whole before anything is done, and every error becomes
//! a status in one place, `failure`. No decision about credentials is made
//! here.

mod batch;
mod failure;
mod fields;
mod get;
pub(crate) mod lean;
pub mod proto;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod timeout;
mod watch;

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use credcache_core::{Cache, Invalidated, Invalidation, WallTime};

use crate::{
    clock::Clock,
    pace::{Eighths, Pace},
};
pub(crate) use failure::DOMAIN;
use failure::Failure;
use proto::credential_cache_service_server::{
    CredentialCacheService, CredentialCacheServiceServer,
};
use request::{AbandonLease, ExtendLease};
pub(crate) use timeout::{MalformedTimeout, parse_timeout};
use watch::Events;

/// The largest message, in bytes: what the contract allows, and what clients
/// take. Batches need it; no other message comes near `limits.max_value` and
/// 32 KiB more.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// How many invalidations of more than one key run at once: a call may have to
/// wait for a step of each on its worker; fewer would let one that matches
/// little wait for those that match much.
const WIDE_AT_ONCE: usize = 4;
/// What each of them may take of a busy worker: an eighth of the calls' time at
/// first, twice as much after each interval, and at last as much as they. So
/// 100,000 credentials, a fifth of a second's work, go within about one. While it lasts
/// and others put, watchers hear nothing: in two seconds near caches would give up.
const MOST_WIDE: Eighths = Eighths(8);
const WIDE_INTERVAL: Duration = Duration::from_millis(250);

/// The credential cache as a gRPC service.
#[derive(Clone, Debug)]
pub struct Service {
    cache: Arc<Cache>,
    clock: Arc<Clock>,
    instance: Arc<Instance>,
    /// Callers queue here, and one that goes away leaves the queue.
    wide: Arc<Semaphore>,
    ending: CancellationToken,
}

/// Which run of the server this is.
#[derive(Clone, Debug)]
pub struct Instance {
    id: String,
    started_at: WallTime,
}

impl Instance {
    /// A new one, with a random id.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(started_at: WallTime) -> Result<Self, getrandom::Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        Ok(Self {
            id: format!("{:032x}", u128::from_be_bytes(id)),
            started_at,
        })
    }

    /// Its id: 128 random bits in hexadecimal.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Service {
    /// Serves this cache, by this clock.
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

    /// Cancelled when the drain begins: calls that would go on for as long as
    /// they may, waiting Gets and Watches, end then.
    #[must_use]
    pub fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }

    /// As tonic wants it.
    #[must_use]
    pub fn into_server(self) -> CredentialCacheServiceServer<Self> {
        CredentialCacheServiceServer::new(self).max_decoding_message_size(MAX_MESSAGE)
    }
}

#[tonic::async_trait]
impl CredentialCacheService for Service {
    async fn get(
        &self,
        request: Request<proto::GetRequest>,
    ) -> Result<Response<proto::GetResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let get = request::get(&request)?;
        let (lookup, lease) = if get.acquire_lease || !get.wait.is_zero() {
            self.look_or_wait(get, metadata.as_ref()).await?
        } else {
            let now = || self.clock.now();
            (self.cache.get(get.name, get.min_ttl, now), None)
        };
        Ok(Response::new(response::get(&self.cache, lookup, lease)))
    }

    async fn put(
        &self,
        request: Request<proto::PutRequest>,
    ) -> Result<Response<proto::PutResponse>, Status> {
        Ok(Response::new(self.put_now(&request.into_inner())?))
    }

    /// Runs to its end once begun, even if the caller goes away.
    async fn invalidate(
        &self,
        request: Request<proto::InvalidateRequest>,
    ) -> Result<Response<proto::InvalidateResponse>, Status> {
        let now = self.clock.now();
        let invalidation = request::invalidate(&request.into_inner(), now)?;
        let invalidated = if invalidation.is_of_one_key() {
            self.cache.invalidate(invalidation, now)
        } else {
            self.invalidate_wide(invalidation).await?
        };
        Ok(Response::new(response::invalidate(invalidated)))
    }

    async fn stats(
        &self,
        request: Request<proto::StatsRequest>,
    ) -> Result<Response<proto::StatsResponse>, Status> {
        let request = request.into_inner();
        let counts = self.cache.counts(request::stats(&request)?);
        Ok(Response::new(response::stats(
            &self.cache,
            &counts,
            &self.instance,
        )))
    }

    async fn batch_get(
        &self,
        request: Request<proto::BatchGetRequest>,
    ) -> Result<Response<proto::BatchGetResponse>, Status> {
        Ok(Response::new(self.get_all(&request.into_inner())?))
    }

    async fn batch_put(
        &self,
        request: Request<proto::BatchPutRequest>,
    ) -> Result<Response<proto::BatchPutResponse>, Status> {
        Ok(Response::new(self.put_all(&request.into_inner()).await?))
    }

    async fn extend_lease(
        &self,
        request: Request<proto::ExtendLeaseRequest>,
    ) -> Result<Response<proto::ExtendLeaseResponse>, Status> {
        let request = request.into_inner();
        let ExtendLease {
            name,
            token,
            lease_ttl,
        } = request::extend_lease(&request)?;
        let left = self
            .cache
            .extend_lease(name, token, lease_ttl, self.clock.now())
            .map_err(Failure::from)?;
        Ok(Response::new(response::extend_lease(left)))
    }

    async fn abandon_lease(
        &self,
        request: Request<proto::AbandonLeaseRequest>,
    ) -> Result<Response<proto::AbandonLeaseResponse>, Status> {
        let request = request.into_inner();
        let AbandonLease {
            name,
            token,
            retry_after,
        } = request::abandon_lease(&request)?;
        self.cache
            .abandon_lease(name, token, retry_after, self.clock.now())
            .map_err(Failure::from)?;
        Ok(Response::new(proto::AbandonLeaseResponse {}))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<proto::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<proto::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let watch = request::watch(&request, self.instance.id())?;
        let watcher = self.cache.clone().watch(watch.namespace, watch.from);
        let events = Events::new(
            watcher.map_err(Failure::from)?,
            self.instance.clone(),
            metadata.as_ref(),
            self.ending(),
        );
        Ok(Response::new(Box::pin(events)))
    }
}

impl Service {
    fn put_now(&self, request: &proto::PutRequest) -> Result<proto::PutResponse, Failure> {
        let now = self.clock.now();
        let put = request::put(request, &self.cache, now)?;
        let stored = self.cache.put(put, now)?;
        Ok(response::put(&self.cache, stored))
    }

    /// Carries out what may take as long as a million credentials take, in steps
    /// between which the worker serves others; in a task of its own, which
    /// nobody cancels.
    async fn invalidate_wide(&self, invalidation: Invalidation) -> Result<Invalidated, Failure> {
        let permit = self
            .wide
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Failure::broken("the queue is closed"))?;
        let Self { cache, clock, .. } = self.clone();
        let sweeping = tokio::spawn(async move {
            let _permit = permit;
            let mut sweep = cache.begin_invalidation(invalidation, clock.now());
            let begun = Instant::now();
            let mut pace = Pace::start();
            loop {
                if let Some(invalidated) = sweep.step() {
                    return invalidated;
                }
                let part = Eighths::after(begun.elapsed(), WIDE_INTERVAL, MOST_WIDE);
                pace.step_done(part).await;
            }
        });
        sweeping
            .await
            .map_err(|_| Failure::broken("an invalidation panicked or wasn't carried out"))
    }
}
