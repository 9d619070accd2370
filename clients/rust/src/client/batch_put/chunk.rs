//! The messages that a batch of Puts takes, and their answers.
//!
//! Guarantees for each item what holds for a single Put: its relative lifetime
//! shrinks until the item is sent, and an item whose lifetime has ended isn't sent.

use std::{iter, time::Duration};

use prost::{Message, encoding::message};
use tonic::{Code, Request, Response, Status, transport::Channel};
use tonic_types::pb;

use crate::{
    Error,
    client::put::{sent_ttl, with_remaining_lifetime},
    clock::BootInstant,
    proto::{
        BatchPutRequest, BatchPutResponse, BatchPutResult, PutRequest, batch_put_result::Outcome,
        credential_cache_service_client::CredentialCacheServiceClient as Stub,
    },
    put::{Put, Stored},
    server_clock::ServerClock,
};

/// The most Puts that a message may have.
const MAX_ITEMS: usize = 1000;
/// The largest message, in bytes, that the server takes.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// The number of `requests` in the message.
const REQUESTS: u32 = 1;
/// More bytes than an item may grow by as its lifetime shrinks or becomes an end:
/// whole seconds gain digits and nanoseconds, and the lengths around them a digit
/// each.
const GROWTH: usize = 16;

/// The Puts that go into one message.
#[derive(Default)]
pub(super) struct Chunk {
    items: Vec<ChunkItem>,
    bytes: usize,
}

struct ChunkItem {
    request: PutRequest,
    /// The end of a relative lifetime.
    end: Option<BootInstant>,
}

/// A message, and which items of its chunk are in it.
pub(super) struct ChunkMessage {
    request: BatchPutRequest,
    included: Vec<bool>,
}

/// Divides Puts into as few chunks as their order allows. A Put that is too large
/// for a message has a chunk of its own, for the server to refuse.
pub(super) fn divide(puts: Vec<Put>, called: BootInstant) -> impl Iterator<Item = Chunk> {
    let mut items = puts
        .into_iter()
        .map(move |put| ChunkItem {
            end: put.lifetime_end(called),
            request: put.into_request(),
        })
        .peekable();
    iter::from_fn(move || {
        let mut chunk = Chunk::default();
        while let Some(item) = items.next_if(|item| chunk.has_room_for(item)) {
            chunk.bytes += item.bytes();
            chunk.items.push(item);
        }
        (!chunk.items.is_empty()).then_some(chunk)
    })
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    fn has_room_for(&self, item: &ChunkItem) -> bool {
        self.items.is_empty()
            || self.items.len() < MAX_ITEMS && self.bytes + item.bytes() <= MAX_MESSAGE
    }

    /// The message as it is sent now.
    pub(super) fn message(&self, server: &ServerClock) -> Result<ChunkMessage, Error> {
        let mut requests = Vec::with_capacity(self.items.len());
        let mut included = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let request = with_remaining_lifetime(item.request.clone(), item.end, server);
            included.push(request.is_ok());
            requests.extend(request.ok());
        }
        if requests.is_empty() {
            return Err(Error::Expired);
        }
        Ok(ChunkMessage {
            request: BatchPutRequest { requests },
            included,
        })
    }
}

impl ChunkItem {
    fn bytes(&self) -> usize {
        message::encoded_len(REQUESTS, &self.request) + GROWTH
    }
}

/// The lifetime of the first item if it was sent as a relative one, which items were
/// sent, and the response.
type ChunkResponse = (Option<Duration>, Vec<bool>, BatchPutResponse);

/// Sends one message.
pub(super) async fn send(
    channel: Channel,
    message: Request<ChunkMessage>,
) -> Result<Response<ChunkResponse>, Status> {
    let (metadata, extensions, ChunkMessage { request, included }) = message.into_parts();
    let ttl = request.requests.first().and_then(sent_ttl);
    let request = Request::from_parts(metadata, extensions, request);
    let response = Stub::new(channel).batch_put(request).await?;
    Ok(response.map(|response| (ttl, included, response)))
}

/// The result of each item of a chunk.
pub(super) fn parse(
    included: &[bool],
    response: BatchPutResponse,
) -> Result<Vec<Result<Stored, Error>>, Error> {
    let expected = included.iter().filter(|included| **included).count();
    if response.results.len() != expected {
        return Err(Error::Malformed("not one result a Put"));
    }
    let mut results = response.results.into_iter();
    let outcomes = included.iter().map(|included| match included {
        true => results.next().map_or(MISSING, parse_result),
        false => Err(Error::Expired),
    });
    Ok(outcomes.collect())
}

const MISSING: Result<Stored, Error> = Err(Error::Malformed("outcome is unset"));

fn parse_result(result: BatchPutResult) -> Result<Stored, Error> {
    match result.outcome {
        Some(Outcome::Response(response)) => Stored::parse(response),
        Some(Outcome::Error(error)) => Err(refusal(&error)),
        None => MISSING,
    }
}

/// The error that the same status would be in answer to a single Put.
fn refusal(error: &pb::Status) -> Error {
    match Code::from_i32(error.code) {
        Code::Ok => Error::Malformed("an error that is none"),
        code => {
            let details = error.encode_to_vec().into();
            Status::with_details(code, &error.message, details).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;
    use crate::{Lifetime, Secret};

    const MINUTE: Duration = Duration::from_secs(60);

    fn put(key: &str, bytes: usize) -> Put {
        let value = Secret::new(vec![7; bytes]);
        Put::new("aws", key, value, Lifetime::Ttl(MINUTE))
    }

    fn lengths(puts: Vec<Put>) -> Vec<usize> {
        let chunks = divide(puts, BootInstant::now());
        chunks.map(|chunk| chunk.len()).collect()
    }

    #[test]
    fn messages_are_divided_by_count() {
        assert_eq!(lengths(Vec::new()), []);
        assert_eq!(lengths(vec![put("k", 1); 1000]), [1000]);
        assert_eq!(lengths(vec![put("k", 1); 2001]), [1000, 1000, 1]);
    }

    #[test]
    fn messages_are_filled_up_to_their_size_whatever_passes_until_they_are_sent() {
        let each = 1 << 20;
        assert_eq!(lengths(vec![put("k", each); 7]), [3, 3, 1]);
        assert_eq!(lengths(vec![put("k", 5 * each), put("k", 1)]), [1, 1]);
        for odd in 0..64 {
            let puts = vec![put("k", 8 * 1024 - odd); 600];
            let now = BootInstant::now();
            let chunk = divide(puts, now).next().unwrap();
            let known = ServerClock::default();
            known.showed(SystemTime::UNIX_EPOCH + MINUTE * 30_000_000, now, now);
            for server in [ServerClock::default(), known] {
                let length = chunk.message(&server).unwrap().request.encoded_len();
                assert!(length <= MAX_MESSAGE, "{length}");
                assert!(length > MAX_MESSAGE - 24 * 1024, "{length}");
            }
        }
    }

    #[test]
    fn item_whose_lifetime_ended_is_left_out_of_the_message() {
        let server = ServerClock::default();
        let ended = Put::new("aws", "b", Secret::new("x"), Lifetime::Ttl(Duration::ZERO));
        let puts = vec![put("a", 1), ended.clone(), put("c", 1)];
        let chunk = divide(puts, BootInstant::now()).next().unwrap();
        let attempt = chunk.message(&server).unwrap();
        let keys: Vec<_> = attempt
            .request
            .requests
            .iter()
            .map(|put| &*put.key)
            .collect();
        assert_eq!(keys, ["a", "c"]);

        let stored = |version| BatchPutResult {
            outcome: Some(Outcome::Response(crate::proto::PutResponse {
                version,
                expires_at: Some(prost_types::Timestamp::default()),
                ..Default::default()
            })),
        };
        let response = BatchPutResponse {
            results: vec![stored(1), stored(2)],
        };
        let outcomes = parse(&attempt.included, response).unwrap();
        assert!(matches!(
            &outcomes[..],
            [Ok(a), Err(Error::Expired), Ok(c)] if (a.version, c.version) == (1, 2)
        ));
        let chunk = divide(vec![ended], BootInstant::now()).next().unwrap();
        assert!(matches!(chunk.message(&server), Err(Error::Expired)));
    }

    #[test]
    fn error_of_an_item_is_the_error_of_a_single_put() {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "credcache", []);
        details.add_bad_request_violation("key", "must not be empty");
        let status = Status::with_error_details(Code::InvalidArgument, "key", details);
        let message = pb::Status::decode(status.details()).unwrap();
        let (Error::Refused(of_item), Error::Refused(single)) =
            (refusal(&message), Error::from(status))
        else {
            panic!("both are refusals")
        };
        assert_eq!(of_item, single);
    }

    #[test]
    fn answer_that_breaks_the_contract_is_malformed() {
        let unset = BatchPutResult { outcome: None };
        let none = BatchPutResult {
            outcome: Some(Outcome::Error(pb::Status::default())),
        };
        for result in [unset, none] {
            let response = BatchPutResponse {
                results: vec![result],
            };
            assert!(parse(&[true, true], response.clone()).is_err());
            assert!(parse(&[], response.clone()).is_err());
            let outcomes = parse(&[true], response).unwrap();
            assert!(matches!(outcomes[..], [Err(Error::Malformed(_))]));
        }
    }
}
