//! Responses as prost would encode them, framed for gRPC: lengths first, then
//! one pass over one buffer of just that size.

use std::time::Duration;

use prost::encoding::{encode_varint, encoded_len_varint};

use super::{length_delimited, varint};
use crate::{
    cache::{Cache, Hit, Lookup, Miss, WallTime},
    rpc::{batch::Room, proto, response},
};

/// In GetResponse and BatchGetResult alike.
const CREDENTIAL: u8 = length_delimited(1);
const MISS: u8 = length_delimited(2);

const RESULTS: u8 = length_delimited(1);

const VALUE: u8 = length_delimited(1);
const EXPIRES_AT: u8 = length_delimited(2);
const TTL: u8 = length_delimited(3);
const REFRESH_AT: u8 = length_delimited(4);
const VERSION: u8 = varint(5);
const TIER: u8 = length_delimited(6);
const ATTRIBUTES: u8 = length_delimited(7);

const REASON: u8 = varint(1);
const RETRY_AFTER: u8 = length_delimited(2);

/// In Duration and Timestamp alike.
const SECONDS: u8 = varint(1);
const NANOS: u8 = varint(2);

/// In the entries of a map.
const NAME: u8 = length_delimited(1);
const TEXT: u8 = length_delimited(2);

/// A compression flag and a length come before every message.
const FRAME_HEAD: usize = 5;

pub(super) fn get(cache: &Cache, lookup: &Lookup) -> Vec<u8> {
    let outcome = Outcome::of(cache, lookup);
    let mut frame = Frame::of(outcome.len());
    outcome.write(&mut frame);
    frame.0
}

pub(super) fn batch_get(cache: &Cache, lookups: &[Lookup], mut room: Room) -> Vec<u8> {
    let mut len = 0;
    let mut outcomes = Vec::with_capacity(lookups.len());
    for lookup in lookups {
        let mut outcome = Outcome::of(cache, lookup);
        if !room.take(field_len(outcome.len())) {
            outcome = Outcome::no_room();
        }
        len += field_len(outcome.len());
        outcomes.push(outcome);
    }
    let mut frame = Frame::of(len);
    for outcome in &outcomes {
        frame.head(RESULTS, outcome.len());
        outcome.write(&mut frame);
    }
    frame.0
}

/// What a lookup is answered with, and how long that is.
enum Outcome<'a> {
    Credential(Credential<'a>),
    Miss(proto::MissReason, Option<Time>),
}

struct Credential<'a> {
    hit: &'a Hit,
    tier: &'a str,
    expires_at: Time,
    ttl: Time,
    refresh_at: Time,
    len: usize,
}

impl<'a> Outcome<'a> {
    fn of(cache: &'a Cache, lookup: &'a Lookup) -> Self {
        match lookup {
            Lookup::Hit(hit) => Self::Credential(Credential::of(cache, hit)),
            Lookup::Miss(Miss {
                reason,
                retry_after,
            }) => Self::Miss(response::miss_reason(*reason), retry_after.map(Time::of)),
        }
    }

    fn no_room() -> Self {
        Self::Miss(proto::MissReason::NoRoom, None)
    }

    /// The length of the message that holds it.
    fn len(&self) -> usize {
        field_len(self.inner_len())
    }

    fn inner_len(&self) -> usize {
        match self {
            Self::Credential(credential) => credential.len,
            Self::Miss(_, retry_after) => 2 + retry_after.map_or(0, Time::field_len),
        }
    }

    fn write(&self, frame: &mut Frame) {
        match self {
            Self::Credential(credential) => {
                frame.head(CREDENTIAL, self.inner_len());
                credential.write(frame);
            }
            Self::Miss(reason, retry_after) => {
                frame.head(MISS, self.inner_len());
                frame.number(REASON, *reason as u64);
                if let Some(retry_after) = retry_after {
                    frame.time(RETRY_AFTER, *retry_after);
                }
            }
        }
    }
}

impl<'a> Credential<'a> {
    fn of(cache: &'a Cache, hit: &'a Hit) -> Self {
        let tier = cache.tier_spec(hit.tier()).name.as_str();
        let expires_at = Time::at(hit.expires_at());
        let ttl = Time::of(hit.ttl());
        let refresh_at = Time::at(hit.refresh_at());
        let attributes = hit.attributes().iter();
        let len = bytes_len(hit.value_bytes().len())
            + expires_at.field_len()
            + ttl.field_len()
            + refresh_at.field_len()
            + number_len(hit.version().number())
            + bytes_len(tier.len())
            + attributes
                .map(|(name, text)| field_len(pair_len(name, text)))
                .sum::<usize>();
        Self {
            hit,
            tier,
            expires_at,
            ttl,
            refresh_at,
            len,
        }
    }

    fn write(&self, frame: &mut Frame) {
        frame.bytes(VALUE, self.hit.value_bytes());
        frame.time(EXPIRES_AT, self.expires_at);
        frame.time(TTL, self.ttl);
        frame.time(REFRESH_AT, self.refresh_at);
        frame.number(VERSION, self.hit.version().number());
        frame.bytes(TIER, self.tier.as_bytes());
        for (name, text) in self.hit.attributes().iter() {
            frame.head(ATTRIBUTES, pair_len(name, text));
            frame.bytes(NAME, name.as_bytes());
            frame.bytes(TEXT, text.as_bytes());
        }
    }
}

fn pair_len(name: &str, text: &str) -> usize {
    bytes_len(name.len()) + bytes_len(text.len())
}

/// A Duration, or a Timestamp: on the wire they are the same.
#[derive(Clone, Copy)]
struct Time {
    seconds: u64,
    nanos: u32,
}

impl Time {
    fn of(duration: Duration) -> Self {
        Self {
            seconds: duration.as_secs(),
            nanos: duration.subsec_nanos(),
        }
    }

    fn at(instant: WallTime) -> Self {
        Self::of(instant.since_unix())
    }

    fn len(self) -> usize {
        number_len(self.seconds) + number_len(self.nanos.into())
    }

    fn field_len(self) -> usize {
        field_len(self.len())
    }
}

/// The length of a field that is itself a message.
fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

/// The length of a field of bytes; what is empty isn't sent.
fn bytes_len(len: usize) -> usize {
    if len == 0 { 0 } else { field_len(len) }
}

/// The length of a field that is a number; zero isn't sent.
fn number_len(number: u64) -> usize {
    if number == 0 {
        0
    } else {
        1 + encoded_len_varint(number)
    }
}

/// A message with what gRPC puts before it: a flag that says it isn't
/// compressed, and its length.
struct Frame(Vec<u8>);

impl Frame {
    /// The head of a message of this length, which is far below 4 GiB.
    fn of(len: usize) -> Self {
        let mut bytes = Vec::with_capacity(FRAME_HEAD + len);
        bytes.push(0);
        bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        Self(bytes)
    }

    fn head(&mut self, head: u8, len: usize) {
        self.0.push(head);
        encode_varint(len as u64, &mut self.0);
    }

    fn bytes(&mut self, head: u8, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.head(head, bytes.len());
            self.0.extend_from_slice(bytes);
        }
    }

    fn number(&mut self, head: u8, number: u64) {
        if number != 0 {
            self.0.push(head);
            encode_varint(number, &mut self.0);
        }
    }

    fn time(&mut self, head: u8, time: Time) {
        self.head(head, time.len());
        self.number(SECONDS, time.seconds);
        self.number(NANOS, time.nanos.into());
    }
}
