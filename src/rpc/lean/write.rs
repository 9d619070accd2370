//! Responses as prost would encode them, framed for gRPC, in one pass over one
//! buffer.

#![expect(
    clippy::cast_possible_truncation,
    reason = "bytes are cut from numbers"
)]

use std::time::Duration;

use prost::encoding::encoded_len_varint;

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

const REASON: u8 = varint(1);
const RETRY_AFTER: u8 = length_delimited(2);

/// In Duration and Timestamp alike.
const SECONDS: u8 = varint(1);
const NANOS: u8 = varint(2);

/// A compression flag and a length come before every message.
const FRAME_HEAD: usize = 5;

/// A guess at what a credential takes besides its value; a buffer that is too
/// small for it grows.
const BESIDES_VALUE: usize = 80;

pub(super) fn get(cache: &Cache, lookup: &Lookup) -> Vec<u8> {
    let mut response = Response::with_capacity(cache, expected_len(lookup));
    response.outcome(lookup);
    response.framed()
}

pub(super) fn batch_get(cache: &Cache, lookups: &[Lookup], room: Room) -> Vec<u8> {
    let len = lookups.iter().map(expected_len).sum::<usize>();
    let mut response = Response::with_capacity(cache, len.min(MAX_MESSAGE));
    response.room = Some(room);
    for lookup in lookups {
        response.outcome(lookup);
    }
    response.framed()
}

fn expected_len(lookup: &Lookup) -> usize {
    let value = match lookup {
        Lookup::Hit(hit) => hit.value_bytes().len(),
        Lookup::Miss(_) => 0,
    };
    value + BESIDES_VALUE
}

/// A response on its way into its buffer.
struct Response<'a> {
    cache: &'a Cache,
    framed: Vec<u8>,
    /// In the response to a batch, whose outcomes are each in a result: what is
    /// left of the message.
    room: Option<Room>,
    /// The small fields of the outcome at hand.
    fields: Scratch,
    /// What comes before its value and them.
    heads: Scratch,
}

impl<'a> Response<'a> {
    fn with_capacity(cache: &'a Cache, len: usize) -> Self {
        let mut framed = Vec::with_capacity(FRAME_HEAD + len);
        framed.extend_from_slice(&[0; FRAME_HEAD]);
        Self {
            cache,
            framed,
            room: None,
            fields: Scratch::new(),
            heads: Scratch::new(),
        }
    }

    fn outcome(&mut self, lookup: &Lookup) {
        match lookup {
            Lookup::Hit(hit) => self.credential(hit),
            Lookup::Miss(miss) => {
                let reason = response::miss_reason(miss.reason);
                self.miss(reason, miss.retry_after);
            }
        }
    }

    fn credential(&mut self, hit: &Hit) {
        let value = hit.value_bytes();
        let tier = self.cache.tier_spec(hit.tier()).name.as_bytes();
        let fields = &mut self.fields;
        // A Duration and a Timestamp are the same on the wire.
        let at = fields.time(0, EXPIRES_AT, hit.expires_at().since_unix());
        let at = fields.time(at, TTL, hit.ttl());
        let at = fields.time(at, REFRESH_AT, hit.refresh_at().since_unix());
        let at = fields.number(at, VERSION, hit.version().number());
        let fields_len = fields.bytes(at, TIER, tier);

        let attributes = hit.attributes().encoded();
        let len = bytes_len(value.len()) + fields_len + attributes.len();
        if let Some(room) = &mut self.room
            && !room.take(field_len(field_len(len)))
        {
            return self.miss(proto::MissReason::NoRoom, None);
        }

        self.heads(CREDENTIAL, len, value.len());
        self.framed.extend_from_slice(value);
        self.framed.extend_from_slice(&self.fields.0[..fields_len]);
        self.framed.extend_from_slice(attributes);
    }

    fn miss(&mut self, reason: proto::MissReason, retry_after: Option<Duration>) {
        let mut len = self.fields.number(0, REASON, reason as u64);
        if let Some(retry_after) = retry_after {
            len = self.fields.time(len, RETRY_AFTER, retry_after);
        }
        self.heads(MISS, len, 0);
        self.framed.extend_from_slice(&self.fields.0[..len]);
    }

    /// What comes before the fields of an outcome of this length, and before the
    /// value if there is one.
    fn heads(&mut self, outcome: u8, len: usize, value_len: usize) {
        let heads = &mut self.heads;
        let mut at = 0;
        if self.room.is_some() {
            at = heads.head(at, RESULTS, field_len(len));
        }
        at = heads.head(at, outcome, len);
        if value_len > 0 {
            at = heads.head(at, VALUE, value_len);
        }
        self.framed.extend_from_slice(&self.heads.0[..at]);
    }

    fn framed(mut self) -> Vec<u8> {
        // Messages are far below 4 GiB.
        let len = u32::try_from(self.framed.len() - FRAME_HEAD).unwrap_or(u32::MAX);
        self.framed[1..FRAME_HEAD].copy_from_slice(&len.to_be_bytes());
        self.framed
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

/// The longest that a credential has besides its value and attributes: three
/// times of up to 19 bytes, a number of up to 11, and a tier of up to 65.
const LONGEST: usize = 3 * 19 + 11 + 65;

/// Where small fields are put together, so that they go into the response in
/// one piece. Each method writes at a place and answers with the next: kept in
/// here, it would go through memory from field to field.
struct Scratch(
    /// Numbers are written as whole words, which reach beyond the last byte.
    [u8; LONGEST + size_of::<u64>()],
);

impl Scratch {
    fn new() -> Self {
        Self([0; _])
    }

    /// Zero isn't sent.
    #[inline(always)]
    fn number(&mut self, at: usize, head: u8, number: u64) -> usize {
        if number == 0 {
            return at;
        }
        self.0[at] = head;
        self.varint(at + 1, number)
    }

    #[inline(always)]
    fn time(&mut self, at: usize, head: u8, time: Duration) -> usize {
        self.0[at] = head;
        let fields = at + 2;
        let end = self.number(fields, SECONDS, time.as_secs());
        let end = self.number(end, NANOS, time.subsec_nanos().into());
        // At most 17.
        self.0[at + 1] = (end - fields) as u8;
        end
    }

    /// The head of a field of this length.
    #[inline(always)]
    fn head(&mut self, at: usize, head: u8, len: usize) -> usize {
        self.0[at] = head;
        self.varint(at + 1, len as u64)
    }

    /// A field of at most 65 bytes; what is empty isn't sent.
    fn bytes(&mut self, at: usize, head: u8, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return at;
        }
        let at = self.head(at, head, bytes.len());
        self.0[at..][..bytes.len()].copy_from_slice(bytes);
        at + bytes.len()
    }

    /// Seven bits to a byte, the lowest first, and one more bit on all but the
    /// last. What fits into one word takes no loop: a credential has ten of
    /// them.
    #[inline(always)]
    fn varint(&mut self, mut at: usize, mut number: u64) -> usize {
        while number >= 1 << 56 {
            self.0[at] = number as u8 | 0x80;
            number >>= 7;
            at += 1;
        }
        let bits = u64::BITS - (number | 1).leading_zeros();
        let len = bits.div_ceil(7) as usize;
        let more = 0x8080_8080_8080_8080 & ((1_u64 << (8 * (len - 1))) - 1);
        let word = spread(number) | more;
        self.0[at..][..size_of::<u64>()].copy_from_slice(&word.to_le_bytes());
        at + len
    }
}

/// The low 56 bits, seven to a byte.
fn spread(number: u64) -> u64 {
    let halves = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1
}

#[cfg(test)]
mod tests {
    use prost::{Message, encoding::encode_varint};

    use super::*;

    #[test]
    fn numbers_of_every_length_are_encoded_as_prost_does() {
        for bit in 0..u64::BITS {
            for number in [1 << bit, (1 << bit) - 1, u64::MAX >> bit] {
                let mut scratch = Scratch::new();
                let len = scratch.varint(0, number);
                let mut expected = Vec::new();
                encode_varint(number, &mut expected);
                assert_eq!(scratch.0[..len], expected, "{number:#x}");
            }
        }
    }

    #[test]
    fn times_are_encoded_as_prost_does() {
        for seconds in [0, 1, 127, 128, 2_000_000_000, 1 << 60] {
            for nanos in [0, 1, 128, 1 << 21, 999_999_999] {
                let mut scratch = Scratch::new();
                let len = scratch.time(0, TTL, Duration::new(seconds, nanos));
                let expected = prost_types::Duration {
                    seconds: seconds.cast_signed(),
                    nanos: nanos.cast_signed(),
                };
                let mut encoded = vec![TTL];
                expected.encode_length_delimited(&mut encoded).unwrap();
                assert_eq!(scratch.0[..len], encoded, "{seconds} s {nanos} ns");
            }
        }
    }

    #[test]
    fn longest_fields_have_room() {
        let mut scratch = Scratch::new();
        let mut at = 0;
        for head in [EXPIRES_AT, TTL, REFRESH_AT] {
            at = scratch.time(at, head, Duration::MAX);
        }
        at = scratch.number(at, VERSION, u64::MAX);
        assert_eq!(scratch.bytes(at, TIER, &[b't'; 63]), LONGEST);
    }
}
