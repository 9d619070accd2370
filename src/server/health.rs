//! grpc.health.v1: SERVING until the drain begins, NOT_SERVING from then on.
//!
//! In place of tonic-health's own service, whose Watch never ends and would
//! hold every drain until its time-out.

use std::pin::Pin;

use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

use super::drain::Draining;
use crate::rpc::proto::credential_cache_service_server::SERVICE_NAME;

pub(super) fn service(draining: Draining) -> HealthServer<impl Health> {
    HealthServer::new(Service { draining })
}

struct Service {
    draining: Draining,
}

#[tonic::async_trait]
impl Health for Service {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(request.get_ref()) {
            return Err(Status::not_found("the server has no such service"));
        }
        Ok(Response::new(answer(serving(self.draining.has_begun()))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let changes = self.draining.changes();
        Ok(Response::new(if is_known(request.get_ref()) {
            Box::pin(changes.map(|begun| Ok(answer(serving(begun)))))
        } else {
            // Stays open, as any other: a client may know of the service before
            // the server does. This server will never, but ends.
            let unknown = tokio_stream::once(Ok(answer(ServingStatus::ServiceUnknown)));
            Box::pin(unknown.chain(changes.filter_map(|_| None)))
        }))
    }
}

/// Names other than the server's, which is "", and the service's aren't.
fn is_known(request: &HealthCheckRequest) -> bool {
    matches!(request.service.as_str(), "" | SERVICE_NAME)
}

fn serving(draining: bool) -> ServingStatus {
    if draining {
        ServingStatus::NotServing
    } else {
        ServingStatus::Serving
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
