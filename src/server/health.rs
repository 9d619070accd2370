//! grpc.health.v1: SERVING until the drain begins, NOT_SERVING from then on.
//!
//! This service replaces tonic-health's own, whose Watch never ends and would hold every drain
//! until its timeout.

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
            // The stream stays open as for a known service, because a client may know of a service
            // before the server does. It ends with the drain.
            let unknown = tokio_stream::once(Ok(answer(ServingStatus::ServiceUnknown)));
            Box::pin(unknown.chain(changes.filter_map(|_| None)))
        }))
    }
}

/// The known names are the server's, which is "", and the service's.
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
