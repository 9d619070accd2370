//! Messages that a server must refuse, from a seed.
//!
//! Where a message must not decode, prost itself decides, because changing a byte may give another
//! valid message.

use std::iter::repeat_with;

use credcache_client::proto::{
    BatchGetRequest, BatchPutRequest, GetRequest, InvalidateRequest, PutRequest, StatsRequest,
    invalidate_request::Target,
    put_request::{Lifetime, Precondition},
};
use fastrand::Rng;
use prost::Message;
use prost_types::{Duration, Timestamp};

/// A call whose message is generated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Put,
    Get,
    Invalidate,
    Stats,
    BatchGet,
    BatchPut,
}

pub(super) const METHODS: [Method; 6] = [
    Method::Put,
    Method::Get,
    Method::Invalidate,
    Method::Stats,
    Method::BatchGet,
    Method::BatchPut,
];

impl Method {
    pub(super) fn path(self) -> String {
        format!("/credcache.v1.CredentialCacheService/{self:?}")
    }

    fn decodes(self, bytes: &[u8]) -> bool {
        match self {
            Self::Put => PutRequest::decode(bytes).is_ok(),
            Self::Get => GetRequest::decode(bytes).is_ok(),
            Self::Invalidate => InvalidateRequest::decode(bytes).is_ok(),
            Self::Stats => StatsRequest::decode(bytes).is_ok(),
            Self::BatchGet => BatchGetRequest::decode(bytes).is_ok(),
            Self::BatchPut => BatchPutRequest::decode(bytes).is_ok(),
        }
    }

    fn message(self) -> Vec<u8> {
        match self {
            Self::Put => put(),
            Self::Get => GetRequest {
                namespace: "aws".into(),
                key: "reader".into(),
                min_ttl: Some(Duration {
                    seconds: 1,
                    nanos: 2,
                }),
                ..Default::default()
            }
            .encode_to_vec(),
            Self::Invalidate => InvalidateRequest {
                namespace: "aws".into(),
                target: Some(Target::Key("reader".into())),
                if_version: Some(7),
                issued_before: None,
            }
            .encode_to_vec(),
            Self::Stats => StatsRequest {
                namespace: "aws".into(),
            }
            .encode_to_vec(),
            Self::BatchGet => BatchGetRequest {
                namespace: "aws".into(),
                keys: vec!["reader".into(), "writer".into()],
                min_ttl: Some(Duration {
                    seconds: 1,
                    nanos: 2,
                }),
            }
            .encode_to_vec(),
            Self::BatchPut => BatchPutRequest {
                requests: vec![good_put(), good_put()],
            }
            .encode_to_vec(),
        }
    }
}

/// A valid Put.
pub(super) fn put() -> Vec<u8> {
    good_put().encode_to_vec()
}

fn good_put() -> PutRequest {
    PutRequest {
        namespace: "aws".into(),
        key: "reader".into(),
        value: "token".into(),
        lifetime: Some(Lifetime::Ttl(Duration {
            seconds: 30,
            nanos: 0,
        })),
        ..Default::default()
    }
}

/// The first of the generated messages that `method` can't decode.
fn undecodable(method: Method, bytes: impl FnMut() -> Vec<u8>) -> Vec<u8> {
    repeat_with(bytes)
        .take(100_000)
        .find(|bytes| !method.decodes(bytes))
        .expect("one that doesn't decode")
}

pub(super) fn truncated(rng: &mut Rng, method: Method) -> Vec<u8> {
    let whole = method.message();
    undecodable(method, || whole[..rng.usize(1..whole.len())].to_vec())
}

/// A message with some bytes changed, inserted or removed.
pub(super) fn mutated(rng: &mut Rng, method: Method) -> Vec<u8> {
    undecodable(method, || {
        let mut bytes = method.message();
        for _ in 0..rng.usize(1..=4) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..3) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes.insert(at, rng.u8(..)),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

/// A valid message followed by a known field of a wrong type.
pub(super) fn of_wrong_wire_type(rng: &mut Rng, method: Method) -> Vec<u8> {
    undecodable(method, || {
        let mut bytes = method.message();
        let (field, wire_type) = (rng.u8(1..=14), rng.u8(..8));
        bytes.push(field << 3 | wire_type);
        // These bytes are valid as a varint, as a fixed size, and as a length with its bytes.
        bytes.extend([1; 8]);
        bytes
    })
}

pub(super) fn random(rng: &mut Rng, method: Method) -> Vec<u8> {
    undecodable(method, || {
        let length = rng.usize(1..64);
        repeat_with(|| rng.u8(..)).take(length).collect()
    })
}

/// A Put that decodes but has one invalid field.
pub(super) fn put_with_broken_field(rng: &mut Rng) -> Vec<u8> {
    let mut put = good_put();
    match rng.u8(..12) {
        0 => put.namespace.insert(rng.usize(..=3), rng.char('A'..='Z')),
        1 => put.key = "k".repeat(rng.usize(1025..4096)),
        2 => put.value = vec![rng.u8(..); rng.usize(65_537..100_000)].into(),
        3 => put.tags = (0..rng.u8(17..)).map(|tag| tag.to_string()).collect(),
        4 => put.tags = vec!["t".repeat(rng.usize(129..1000))],
        5 => {
            put.attributes = (0..rng.u8(17..))
                .map(|name| (name.to_string(), String::new()))
                .collect();
        }
        6 => put.lifetime = Some(Lifetime::Ttl(broken_duration(rng))),
        7 => put.refresh_before = Some(broken_duration(rng)),
        8 => {
            let seconds = rng.i64(..1_900_000_000);
            let nanos = rng.i32(..);
            put.lifetime = Some(Lifetime::ExpiresAt(Timestamp { seconds, nanos }));
        }
        9 => put.tier = word(rng),
        10 => put.precondition = Some(Precondition::IfVersion(0)),
        _ => put.lease_token = vec![rng.u8(..); rng.usize(1..16)].into(),
    }
    put.encode_to_vec()
}

fn broken_duration(rng: &mut Rng) -> Duration {
    match rng.bool() {
        true => Duration {
            seconds: rng.i64(..0),
            nanos: rng.i32(..),
        },
        false => Duration {
            seconds: rng.i64(0..),
            nanos: rng.i32(1_000_000_000..),
        },
    }
}

/// A word that names nothing.
pub(super) fn word(rng: &mut Rng) -> String {
    repeat_with(|| rng.lowercase()).take(12).collect()
}
