//! Responses as prost would encode them, framed for gRPC, in one pass over one
//! buffer.

#![expect(
    clippy::cast_possible_truncation,
    reason = "bytes are cut from numbers"
)]

use std::time::Duration;

use prost::encoding::{encode_varint, encoded_len_varint};

use super::{length_delimited, varint};
use crate::{
    cache::{Cache, Hit, Lookup},
    rpc::{MAX_MESSAGE, batch::Room, proto, response},
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

/// More than a credential takes besides its value, tier and attributes.
const FIXED: usize = 96;

pub(super) fn get(cache: &Cache, lookup: &Lookup) -> Vec<u8> {
    let outcome = Outcome::of(cache, lookup);
    let mut frame = Frame::with_capacity(outcome.len());
    outcome.write(&mut frame);
    frame.finish()
}

pub(super) fn batch_get(cache: &Cache, lookups: &[Lookup], mut room: Room) -> Vec<u8> {
    let values = lookups.iter().map(|lookup| match lookup {
        Lookup::Hit(hit) => FIXED + hit.value_bytes().len(),
        Lookup::Miss(_) => FIXED,
    });
    let mut frame = Frame::with_capacity(values.sum::<usize>().min(MAX_MESSAGE));
    for lookup in lookups {
        let mut outcome = Outcome::of(cache, lookup);
        if !room.take(field_len(outcome.len())) {
            outcome = Outcome::no_room();
        }
        frame.head(RESULTS, outcome.len());
        outcome.write(&mut frame);
    }
    frame.finish()
}

/// What a lookup is answered with, and how long that is.
enum Outcome<'a> {
    Credential(Credential<'a>),
    Miss(Fields),
}

/// A credential, with the fields that are numbers encoded already.
struct Credential<'a> {
    hit: &'a Hit,
    numbers: Fields,
    tier: &'a str,
    len: usize,
}

impl<'a> Outcome<'a> {
    fn of(cache: &'a Cache, lookup: &'a Lookup) -> Self {
        match lookup {
            Lookup::Hit(hit) => Self::Credential(Credential::of(cache, hit)),
            Lookup::Miss(miss) => Self::miss(response::miss_reason(miss.reason), miss.retry_after),
        }
    }

    fn no_room() -> Self {
        Self::miss(proto::MissReason::NoRoom, None)
    }

    fn miss(reason: proto::MissReason, retry_after: Option<Duration>) -> Self {
        let mut fields = Fields::default();
        fields.number(REASON, reason as u64);
        if let Some(retry_after) = retry_after {
            fields.time(RETRY_AFTER, retry_after);
        }
        Self::Miss(fields)
    }

    /// The length of the message that holds it.
    fn len(&self) -> usize {
        field_len(match self {
            Self::Credential(credential) => credential.len,
            Self::Miss(fields) => fields.as_bytes().len(),
        })
    }

    fn write(&self, frame: &mut Frame) {
        match self {
            Self::Credential(credential) => {
                frame.head(CREDENTIAL, credential.len);
                credential.write(frame);
            }
            Self::Miss(fields) => frame.bytes(MISS, fields.as_bytes()),
        }
    }
}

impl<'a> Credential<'a> {
    fn of(cache: &'a Cache, hit: &'a Hit) -> Self {
        let tier = cache.tier_spec(hit.tier()).name.as_str();
        let mut numbers = Fields::default();
        // A Duration and a Timestamp are the same on the wire.
        numbers.time(EXPIRES_AT, hit.expires_at().since_unix());
        numbers.time(TTL, hit.ttl());
        numbers.time(REFRESH_AT, hit.refresh_at().since_unix());
        numbers.number(VERSION, hit.version().number());
        let attributes = hit.attributes().iter();
        let attributes = attributes.map(|(name, text)| field_len(pair_len(name, text)));
        let len = bytes_len(hit.value_bytes().len())
            + numbers.as_bytes().len()
            + bytes_len(tier.len())
            + attributes.sum::<usize>();
        Self {
            hit,
            numbers,
            tier,
            len,
        }
    }

    fn write(&self, frame: &mut Frame) {
        frame.bytes(VALUE, self.hit.value_bytes());
        frame.0.extend_from_slice(self.numbers.as_bytes());
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

/// The length of a field that is itself a message.
fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

/// The length of a field of bytes; what is empty isn't sent.
fn bytes_len(len: usize) -> usize {
    if len == 0 { 0 } else { field_len(len) }
}

/// Three times of up to 19 bytes, and a number of up to 11.
const LONGEST: usize = 3 * 19 + 11;

/// Fields that are numbers, encoded.
struct Fields {
    /// Numbers are written as whole words, which reach beyond the last byte.
    bytes: [u8; LONGEST + size_of::<u64>()],
    len: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            bytes: [0; _],
            len: 0,
        }
    }
}

impl Fields {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Zero isn't sent.
    fn number(&mut self, head: u8, number: u64) {
        if number != 0 {
            self.push(head);
            self.varint(number);
        }
    }

    fn time(&mut self, head: u8, time: Duration) {
        self.push(head);
        let len_at = self.len;
        self.push(0);
        self.number(SECONDS, time.as_secs());
        self.number(NANOS, time.subsec_nanos().into());
        // At most 17.
        self.bytes[len_at] = (self.len - len_at - 1) as u8;
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// Seven bits to a byte, the lowest first, and one more bit on all but the
    /// last. What fits into one word takes no loop: a credential has seven of
    /// them.
    fn varint(&mut self, mut number: u64) {
        while number >= 1 << 56 {
            self.push(number as u8 | 0x80);
            number >>= 7;
        }
        let bits = u64::BITS - (number | 1).leading_zeros();
        let len = bits.div_ceil(7) as usize;
        let more = 0x8080_8080_8080_8080 & ((1_u64 << (8 * (len - 1))) - 1);
        let word = spread(number) | more;
        self.bytes[self.len..][..size_of::<u64>()].copy_from_slice(&word.to_le_bytes());
        self.len += len;
    }
}

/// The low 56 bits, seven to a byte.
fn spread(number: u64) -> u64 {
    let halves = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1
}

/// A message with what gRPC puts before it: a flag that says it isn't
/// compressed, and its length.
struct Frame(Vec<u8>);

impl Frame {
    /// Room for a message of this length; it may grow beyond.
    fn with_capacity(len: usize) -> Self {
        let mut bytes = Vec::with_capacity(FRAME_HEAD + len);
        bytes.extend_from_slice(&[0; FRAME_HEAD]);
        Self(bytes)
    }

    fn head(&mut self, head: u8, len: usize) {
        match len {
            // By far the most.
            0..0x80 => self.0.extend_from_slice(&[head, len as u8]),
            0x80..0x4000 => {
                let bytes = [head, len as u8 | 0x80, (len >> 7) as u8];
                self.0.extend_from_slice(&bytes);
            }
            _ => {
                self.0.push(head);
                encode_varint(len as u64, &mut self.0);
            }
        }
    }

    /// What is empty isn't sent.
    fn bytes(&mut self, head: u8, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.head(head, bytes.len());
            self.0.extend_from_slice(bytes);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        // Messages are far below 4 GiB.
        let len = u32::try_from(self.0.len() - FRAME_HEAD).unwrap_or(u32::MAX);
        self.0[1..FRAME_HEAD].copy_from_slice(&len.to_be_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn numbers_of_every_length_are_encoded_as_prost_does() {
        for bit in 0..u64::BITS {
            for number in [1 << bit, (1 << bit) - 1, u64::MAX >> bit] {
                let mut fields = Fields::default();
                fields.varint(number);
                let mut expected = Vec::new();
                encode_varint(number, &mut expected);
                assert_eq!(fields.as_bytes(), expected, "{number:#x}");
            }
        }
    }

    #[test]
    fn times_are_encoded_as_prost_does() {
        let seconds = [
            0,
            1,
            127,
            128,
            2_000_000_000,
            (1 << 35) - 1,
            1 << 35,
            1 << 60,
        ];
        let nanos = [0, 1, 128, 1 << 21, 999_999_999];
        for (seconds, nanos) in seconds.into_iter().zip(nanos.into_iter().cycle()) {
            for nanos in [nanos, 0, 7] {
                let mut fields = Fields::default();
                fields.time(TTL, Duration::new(seconds, nanos));
                let expected = prost_types::Duration {
                    seconds: seconds.cast_signed(),
                    nanos: nanos.cast_signed(),
                };
                let mut encoded = vec![TTL];
                expected.encode_length_delimited(&mut encoded).unwrap();
                assert_eq!(fields.as_bytes(), encoded, "{seconds} s {nanos} ns");
            }
        }
    }

    #[test]
    fn longest_fields_have_room() {
        let mut fields = Fields::default();
        for head in [EXPIRES_AT, TTL, REFRESH_AT] {
            fields.time(head, Duration::MAX);
        }
        fields.number(VERSION, u64::MAX);
        assert_eq!(fields.as_bytes().len(), LONGEST);
    }
}
