//! BatchPut: many Puts in one call, each answered as if it had come alone.

use prost::Message;
use tokio::task::yield_now;
use tonic::{Code, Status};
use tonic_types::pb;

use super::{
    Service,
    batch::{BatchPutRequest, Room, items},
    fields::Fields,
    proto::{self, batch_put_result::Outcome},
    status::Failure,
};

/// How many Puts run before the thread's other calls have their turn.
const PUTS_AT_A_TIME: usize = 64;

/// The end of BadRequest's type URL.
const BAD_REQUEST: &str = "/google.rpc.BadRequest";

impl Service {
    /// Runs the Puts in their order. If the caller goes away meanwhile, later Puts are left out.
    pub(super) async fn serve_batch_put(
        &self,
        request: &BatchPutRequest,
    ) -> Result<proto::BatchPutResponse, Failure> {
        let mut fields = Fields::default();
        let requests = items(&mut fields, "requests", &request.requests);
        let requests = fields.finish(|| requests)?;
        let mut room = Room::for_outcomes(requests.len());
        let mut results = Vec::with_capacity(requests.len());
        for some in requests.chunks(PUTS_AT_A_TIME) {
            if !results.is_empty() {
                yield_now().await;
            }
            results.extend(some.iter().map(|request| {
                let result = result(self.serve_put(request));
                if room.take_result(&result) {
                    result
                } else {
                    without_fields(result)
                }
            }));
        }
        Ok(proto::BatchPutResponse { results })
    }
}

fn result(outcome: Result<proto::PutResponse, Failure>) -> proto::BatchPutResult {
    proto::BatchPutResult {
        outcome: Some(match outcome {
            Ok(response) => Outcome::Response(response),
            Err(failure) => Outcome::Error(message_of(&failure.into())),
        }),
    }
}

/// A status as a message. A status with details already carries this message.
fn message_of(status: &Status) -> pb::Status {
    pb::Status::decode(status.details()).unwrap_or_else(|_| pb::Status {
        code: Code::Internal.into(),
        ..Default::default()
    })
}

/// An error that doesn't name the fields: if every field of a thousand Puts is wrong, their names
/// don't fit into a message.
fn without_fields(mut result: proto::BatchPutResult) -> proto::BatchPutResult {
    if let Some(Outcome::Error(error)) = &mut result.outcome {
        error.message = "the response has no room for the details".into();
        error
            .details
            .retain(|detail| !detail.type_url.ends_with(BAD_REQUEST));
    }
    result
}
