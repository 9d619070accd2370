//! BatchGet and BatchPut: many Gets or Puts in one call, each answered as if it
//! had come alone.
//!
//! Guarantees that neither message can cost much more memory than its bytes: a
//! request keeps no more items than a batch may have (`request`), and a
//! response stays within what clients take (`room`).

mod request;
mod room;

use prost::Message;
use tokio::task::yield_now;
use tonic::{Code, Status};
use tonic_types::pb;

use self::request::Items;
pub use self::request::{BatchGetRequest, BatchPutRequest};
pub(super) use self::room::Room;
use super::{Service, failure::Failure, fields::Fields, proto, response};
use credcache_core::{Key, Name, NamespaceName};

/// The most items of a batch.
pub(super) const MAX_ITEMS: usize = 1000;
/// How many bad keys a refusal names: an answer hasn't room for a thousand.
const MAX_NAMED: usize = 16;
/// After so many Puts the thread's other calls have their turn.
const PUTS_AT_A_TIME: usize = 64;

/// What the type URL of a BadRequest ends with.
const BAD_REQUEST: &str = "/google.rpc.BadRequest";

impl Service {
    /// Looks all the keys up without a pause: what was judged by the clocks must
    /// not wait for other calls.
    pub(super) fn get_all(
        &self,
        request: &BatchGetRequest,
    ) -> Result<proto::BatchGetResponse, Failure> {
        let mut fields = Fields::default();
        let names = names(&mut fields, request);
        let min_ttl = fields.optional_duration("min_ttl", request.min_ttl);
        let (Some(names), Some(min_ttl)) = (names, min_ttl) else {
            return Err(fields.into());
        };
        let min_ttl = min_ttl.unwrap_or_default();
        let mut room = Room::of_misses(names.len());
        let lookups = self.cache.get_each(&names, min_ttl, || self.clock.now());
        let results = lookups.into_iter().map(|lookup| {
            let result = get_result(response::get(&self.cache, lookup, None));
            if room.take_result(&result) {
                result
            } else {
                no_room()
            }
        });
        Ok(proto::BatchGetResponse {
            results: results.collect(),
        })
    }

    /// Carries the Puts out in their order. A caller that goes away meanwhile
    /// leaves the later ones undone.
    pub(super) async fn put_all(
        &self,
        request: &BatchPutRequest,
    ) -> Result<proto::BatchPutResponse, Failure> {
        let mut fields = Fields::default();
        let Some(requests) = items(&mut fields, "requests", &request.requests) else {
            return Err(fields.into());
        };
        let mut room = Room::of_outcomes(requests.len());
        let mut results = Vec::with_capacity(requests.len());
        for some in requests.chunks(PUTS_AT_A_TIME) {
            if !results.is_empty() {
                yield_now().await;
            }
            results.extend(some.iter().map(|request| {
                let result = put_result(self.put_now(request));
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

fn names<'a>(fields: &mut Fields, request: &'a BatchGetRequest) -> Option<Vec<Name<'a>>> {
    let namespace = fields.check("namespace", NamespaceName::parse(&request.namespace));
    let keys = items(fields, "keys", &request.keys)?;
    let mut parsed = Vec::with_capacity(keys.len());
    let mut wrong = 0;
    for (nth, key) in keys.iter().enumerate() {
        match Key::parse(key) {
            Ok(key) => parsed.push(key),
            Err(rule) => {
                if wrong < MAX_NAMED {
                    fields.check::<(), _>(&format!("keys[{nth}]"), Err(rule));
                }
                wrong += 1;
            }
        }
    }
    let namespace = namespace.filter(|_| wrong == 0)?;
    let names = parsed.into_iter().map(|key| Name { namespace, key });
    Some(names.collect())
}

/// The items of a batch, if there are as many as there may be.
fn items<'a, T>(fields: &mut Fields, field: &str, items: &'a Items<T>) -> Option<&'a [T]> {
    let rule = || format!("must be 1 to {MAX_ITEMS}, are {}", items.count());
    fields.check(
        field,
        items.all().filter(|all| !all.is_empty()).ok_or_else(rule),
    )
}

fn get_result(response: proto::GetResponse) -> proto::BatchGetResult {
    use proto::{batch_get_result::Outcome, get_response::Outcome as Single};
    proto::BatchGetResult {
        outcome: response.outcome.map(|outcome| match outcome {
            Single::Credential(credential) => Outcome::Credential(credential),
            Single::Miss(miss) => Outcome::Miss(miss),
        }),
    }
}

fn no_room() -> proto::BatchGetResult {
    proto::BatchGetResult {
        outcome: Some(proto::batch_get_result::Outcome::Miss(proto::Miss {
            reason: proto::MissReason::NoRoom.into(),
            retry_after: None,
        })),
    }
}

fn put_result(outcome: Result<proto::PutResponse, Failure>) -> proto::BatchPutResult {
    use proto::batch_put_result::Outcome;
    proto::BatchPutResult {
        outcome: Some(match outcome {
            Ok(response) => Outcome::Response(response),
            Err(failure) => Outcome::Error(message_of(&failure.into())),
        }),
    }
}

/// A status as a message, which is how one with details carries them along.
fn message_of(status: &Status) -> pb::Status {
    pb::Status::decode(status.details()).unwrap_or_else(|_| pb::Status {
        code: Code::Internal.into(),
        ..Default::default()
    })
}

/// A refusal that doesn't say which fields it is for: with every field wrong, a
/// thousand of them would take more than a message.
fn without_fields(mut result: proto::BatchPutResult) -> proto::BatchPutResult {
    if let Some(proto::batch_put_result::Outcome::Error(error)) = &mut result.outcome {
        error.message = "the response has no room to say more".into();
        error
            .details
            .retain(|detail| !detail.type_url.ends_with(BAD_REQUEST));
    }
    result
}
