//! `grpc.health.v1`, as much of it as asking takes: one method and two messages
//! of one field each don't need a crate.

use tonic::{
    Request, Response, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel,
};
use tonic_prost::ProstCodec;

/// Whether a server takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It does.
    Serving,
    /// It doesn't, or not any more: it is draining.
    NotServing,
    /// It doesn't say.
    Unknown,
}

impl From<HealthCheckResponse> for Health {
    fn from(response: HealthCheckResponse) -> Self {
        match response.status {
            1 => Self::Serving,
            2 => Self::NotServing,
            _ => Self::Unknown,
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HealthCheckRequest {
    // Empty asks about the server as a whole.
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HealthCheckResponse {
    // An open enumeration.
    #[prost(int32, tag = "1")]
    status: i32,
}

pub(crate) async fn check(
    channel: Channel,
    request: Request<HealthCheckRequest>,
) -> Result<Response<HealthCheckResponse>, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    grpc.unary(request, path, ProstCodec::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_serving_is_serving() {
        for (status, health) in [
            (0, Health::Unknown),
            (1, Health::Serving),
            (2, Health::NotServing),
            (3, Health::Unknown),
            (-1, Health::Unknown),
        ] {
            assert_eq!(Health::from(HealthCheckResponse { status }), health);
        }
    }
}
