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
        know(request.get_ref())?;
        Ok(Response::new(answer(self.draining.has_begun())))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        know(request.get_ref())?;
        let answers = self.draining.changes().map(|begun| Ok(answer(begun)));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Refuses names other than the server's, which is "", and the service's.
fn know(request: &HealthCheckRequest) -> Result<(), Status> {
    match request.service.as_str() {
        "" | SERVICE_NAME => Ok(()),
        _ => Err(Status::not_found("no such service")),
    }
}

fn answer(draining: bool) -> HealthCheckResponse {
    let status = if draining {
        ServingStatus::NotServing
    } else {
        ServingStatus::Serving
    };
    HealthCheckResponse {
        status: status.into(),
    }
}
