//! The properties that hold for every request, whatever its bytes are. For tests and fuzz targets.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a property that doesn't hold ends the test or the fuzz target"
)]

use std::{cell::LazyCell, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::{Request, Status};

use super::{
    Instance, Service,
    batch::{BatchGetRequest, BatchPutRequest, MAX_ITEMS},
    fast_path::Method,
    proto::{
        self, BatchGetResponse, GetResponse, batch_put_result,
        credential_cache_service_server::CredentialCacheService, put_request,
    },
};
use crate::clock::{Clock, ManualClock};
use credcache_core::{BootTime, Cache, Count, Counts, Limits, Now, TierCount, TierSpec, WallTime};

thread_local! {
    static RUNTIME: LazyCell<Runtime> = const {
        LazyCell::new(|| Builder::new_current_thread().enable_all().build().unwrap())
    };
}

/// Checks, for several requests in turn, that the fast path answers and counts as the generated
/// path does.
pub(crate) fn fast_path(input: &[u8]) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let service = service().await;
            // Otherwise, the generated path would wait for a lease.
            service.ending().cancel();
            for (kind, message) in messages(input) {
                let method = [Method::Get, Method::BatchGet][usize::from(kind % 2)];
                agree(&service, method, message).await;
            }
        });
    });
}

/// Checks that a batch is decoded as by the generated code, and that each of its Puts is answered
/// as if it had come alone.
pub(crate) fn batch(input: &[u8]) {
    let Some(batch) = decoded(input) else { return };
    let Ok(by_hand) = BatchPutRequest::decode(input) else {
        unreachable!("the generated code decodes it");
    };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (together, alone) = (service().await, service().await);
            let answer = together.batch_put(Request::new(by_hand)).await;
            let answer = match answer {
                Ok(answer) => answer.into_inner().results,
                Err(_) => {
                    let few = 1..=MAX_ITEMS;
                    return assert!(!few.contains(&batch.requests.len()), "refused");
                }
            };
            assert_eq!(answer.len(), batch.requests.len());
            for (request, result) in batch.requests.into_iter().zip(answer) {
                let single = alone.put(Request::new(request)).await;
                match (result.outcome.unwrap(), single) {
                    (batch_put_result::Outcome::Response(response), Ok(single)) => {
                        assert!(response == single.into_inner());
                    }
                    (batch_put_result::Outcome::Error(error), Err(single)) => {
                        assert_eq!(error.code, i32::from(single.code()));
                    }
                    _ => panic!("stored by one path, and refused by the other"),
                }
            }
            for count in [Count::Puts, Count::PutsRefused] {
                assert_eq!(counted(&together).of(count), counted(&alone).of(count));
            }
        });
    });
}

/// Decodes a BatchPut with the generated code, and checks that the decoder here agrees. `None` if
/// it has too many items.
fn decoded(input: &[u8]) -> Option<BatchPut> {
    let (generated, by_hand) = (BatchPut::decode(input), BatchPutRequest::decode(input));
    match (generated, by_hand) {
        (Ok(generated), _) if generated.requests.len() > MAX_ITEMS => None,
        (Ok(generated), Ok(by_hand)) => {
            assert_eq!(by_hand.encoded_len(), generated.encoded_len());
            assert!(by_hand.encode_to_vec() == generated.encode_to_vec());
            Some(generated)
        }
        (Err(_), Err(_)) => None,
        // Nothing is read after the last allowed item.
        (Err(_), Ok(by_hand)) => {
            let has_more = by_hand.requests.all().is_none();
            assert!(has_more, "a malformed message is decoded");
            None
        }
        (Ok(_), Err(_)) => panic!("a well-formed message isn't decoded"),
    }
}

/// An input as messages, each after a byte for its kind and a byte for its length.
fn messages(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([kind, len], rest) = input.split_first_chunk()?;
        let (message, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        input = rest;
        Some((*kind, message))
    })
}

/// The fields of a BatchPut, as a client encodes them.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct BatchPut {
    #[prost(message, repeated, tag = "1")]
    requests: Vec<proto::PutRequest>,
}

/// The fields of a BatchGet, as a client encodes them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BatchGet {
    #[prost(string, tag = "1")]
    pub(super) namespace: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) keys: Vec<String>,
    #[prost(message, optional, tag = "3")]
    pub(super) min_ttl: Option<prost_types::Duration>,
}

pub(super) const KEYS: [&str; 8] = [
    "live", "tagged", "bare", "due", "short", "gone", "revoked", "none",
];

fn at(seconds: u64) -> Now {
    Now {
        wall: WallTime::from_unix(Duration::new(2_000_000_000 + seconds, 123)),
        boot: BootTime::from_boot(Duration::from_secs(1_000 + seconds)),
    }
}

pub(super) fn put(key: &str, ttl: i64) -> proto::PutRequest {
    let ttl = prost_types::Duration {
        seconds: ttl,
        nanos: 5,
    };
    proto::PutRequest {
        namespace: "aws".into(),
        key: key.into(),
        value: Bytes::from_static(b"token"),
        lifetime: Some(put_request::Lifetime::Ttl(ttl)),
        ..Default::default()
    }
}

/// A service in which every key of [`KEYS`] has a state of its own.
pub(super) async fn service() -> Service {
    let tiers = [("minutes", 600), ("hours", 36_000)].map(|(name, seconds)| TierSpec {
        name: name.into(),
        max_ttl: Duration::from_secs(seconds),
        capacity: 256 << 20,
    });
    let limits = Limits {
        max_value: 1 << 20,
        ..Limits::DEFAULT
    };
    let manual = Arc::new(ManualClock::new(at(0)));
    let clock = Arc::new(Clock::Manual(Arc::clone(&manual)));
    let cache = Arc::new(Cache::new(tiers.into(), limits).unwrap());
    let instance = Instance::new(at(0).wall).unwrap();
    let service = Service::new(cache, clock, instance);
    let puts = [
        proto::PutRequest {
            value: Bytes::from(vec![7; 1000]),
            attributes: [("region", "eu"), ("empty", ""), ("", "nameless")]
                .map(|(name, text)| (name.into(), text.into()))
                .into(),
            tags: ["tag", "a", "z", "tag"].map(String::from).into(),
            ..put("live", 5_000)
        },
        proto::PutRequest {
            tags: (10..26)
                .map(|nth| format!("{nth}{}", "t".repeat(126)))
                .collect(),
            ..put("tagged", 4_000)
        },
        put("bare", 400),
        proto::PutRequest {
            value: Bytes::from_static(b"token"),
            refresh_before: Some(prost_types::Duration {
                seconds: 400,
                nanos: 0,
            }),
            ..put("due", 400)
        },
        put("short", 100),
        put("gone", 40),
        put("revoked", 400),
    ];
    for request in puts {
        service.put(Request::new(request)).await.unwrap();
    }
    let revoked = proto::InvalidateRequest {
        namespace: "aws".into(),
        target: Some(proto::invalidate_request::Target::Key("revoked".into())),
        ..Default::default()
    };
    service.invalidate(Request::new(revoked)).await.unwrap();
    manual.set(at(50));
    service
}

/// The generated path's response to the request's bytes.
async fn generated(
    service: &Service,
    method: Method,
    message: &[u8],
) -> Result<Result<AnyResponse, Status>, prost::DecodeError> {
    Ok(match method {
        Method::Get => {
            let request = proto::GetRequest::decode(message)?;
            let response = service.get(Request::new(request)).await;
            response.map(|response| AnyResponse::Get(response.into_inner().into()))
        }
        Method::BatchGet => {
            let request = BatchGetRequest::decode(message)?;
            let response = service.batch_get(Request::new(request)).await;
            response.map(|response| AnyResponse::BatchGet(response.into_inner()))
        }
    })
}

#[derive(PartialEq)]
enum AnyResponse {
    Get(Box<GetResponse>),
    BatchGet(BatchGetResponse),
}

impl AnyResponse {
    /// Reads a framed response, which must be exactly one message.
    fn decode(method: Method, framed: &[u8]) -> Self {
        let (head, message) = framed.split_first_chunk::<5>().unwrap();
        assert_eq!(head[0], 0);
        assert_eq!(
            head[1..],
            u32::try_from(message.len()).unwrap().to_be_bytes()
        );
        match method {
            Method::Get => Self::Get(GetResponse::decode(message).unwrap().into()),
            Method::BatchGet => Self::BatchGet(BatchGetResponse::decode(message).unwrap()),
        }
    }
}

fn counted(service: &Service) -> Counts {
    service.cache.counts(None)
}

/// Asks both paths and compares them. Returns whether the fast path gave a response.
pub(super) async fn agree(service: &Service, method: Method, message: &[u8]) -> bool {
    let before = counted(service);
    let Some(framed) = service.answer_fast(method, message) else {
        assert!(counted(service) == before, "counted without an answer");
        return false;
    };
    let fast = counted(service);
    let generated = generated(service, method, message).await;
    let generated = generated
        .expect("what was answered can be decoded")
        .expect("what was answered isn't an error");
    assert!(AnyResponse::decode(method, &framed) == generated);
    let again = counted(service);
    for count in [
        Count::NotFound,
        Count::Expired,
        Count::Revoked,
        Count::TtlTooShort,
        Count::Pending,
    ] {
        let rises = [(&before, &fast), (&fast, &again)];
        let [one, other] = rises.map(|(from, to)| to.of(count) - from.of(count));
        assert_eq!(one, other, "{count:?}");
    }
    for (tier, _) in service.cache.tiers() {
        let hits = |counts: &Counts| counts.of_tier(tier, TierCount::Hits);
        let rises = [(&before, &fast), (&fast, &again)];
        let [one, other] = rises.map(|(from, to)| hits(to) - hits(from));
        assert_eq!(one, other, "hits of {tier:?}");
    }
    true
}
