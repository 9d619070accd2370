//! The client's part of `grpc.health.v1`: one method and two messages of one field each
//! don't need a crate.

use tonic::{
    Request, Response, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel,
};
use tonic_prost::ProstCodec;

use crate::{Client, Error, retry::Delivery};

impl Client {
    /// Asks whether the server takes calls.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if there is no answer after the retries.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call changes nothing.
    pub async fn health(&self) -> Result<Health, Error> {
        let (response, _) = self
            .call(Delivery::Read, || Ok(HealthCheckRequest::default()), check)
            .await?;
        Ok(response.into())
    }
}

/// Whether a server takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It takes calls.
    Serving,
    /// It takes no calls, for instance because it is draining.
    NotServing,
    /// It gives no answer that this crate knows.
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
struct HealthCheckRequest {
    // Empty asks about the server as a whole.
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    // An open enumeration.
    #[prost(int32, tag = "1")]
    status: i32,
}

async fn check(
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
