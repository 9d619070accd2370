//! Responses, framed for gRPC, in one pass over one buffer.

use std::time::Duration;

use super::{
    encode::{LONGEST_NUMBER, TIME, field_len, head, number, time},
    length_delimited, varint,
};
use crate::{
    cache::{Cache, Hit, Lookup, Miss, Seen},
    rpc::{batch::Room, response},
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

/// A compression flag and a length come before every message.
const FRAME_HEAD: usize = 5;
/// The most that is written of an outcome besides its value and attributes.
const BESIDES_VALUE: usize = HEADS + FIELDS;
/// Three heads, which are written as whole words.
const HEADS: usize = 24;
/// Three times, a number, and a tier of up to 63 bytes.
const FIELDS: usize = 3 * TIME + (1 + LONGEST_NUMBER) + (2 + 63) + 10;
/// A guess at what a credential of a batch takes.
const EXPECTED: usize = 256;

/// A response on its way into its buffer.
pub(super) struct Response<'a> {
    cache: &'a Cache,
    framed: Vec<u8>,
}

/// The same to a batch, whose outcomes are each in a result.
pub(super) struct BatchResponse<'a> {
    response: Response<'a>,
    room: Room,
    /// Where the lifetimes left are to be put in.
    untold: Vec<usize>,
    told: usize,
}

/// What is written of a credential.
struct Credential<'a> {
    value: &'a [u8],
    expires_at: Duration,
    ttl: Duration,
    refresh_at: Duration,
    version: u64,
    tier: &'a str,
    /// As they are on the wire.
    attributes: &'a [u8],
}

/// The response to a Get.
pub(super) fn get(cache: &Cache, lookup: &Lookup) -> Vec<u8> {
    match lookup {
        Lookup::Hit(hit) => {
            let mut response = Response::with_capacity(cache, hit.value_bytes().len());
            response.credential(&Credential::of_hit(cache, hit), false);
            response.framed()
        }
        Lookup::Miss(miss) => {
            let mut response = Response::with_capacity(cache, 0);
            response.miss(*miss, false);
            response.framed()
        }
    }
}

impl<'a> BatchResponse<'a> {
    pub(super) fn new(cache: &'a Cache, count: usize) -> Self {
        Self {
            response: Response::with_capacity(cache, count * EXPECTED),
            room: Room::of_misses(count),
            untold: Vec::with_capacity(count),
            told: 0,
        }
    }

    /// Adds an outcome, of which it isn't known yet what is left of its lifetime;
    /// whether there is room for it.
    #[inline]
    pub(super) fn outcome(&mut self, outcome: Result<Seen<'_>, Miss>) -> bool {
        match outcome {
            Ok(seen) => {
                let credential = Credential::of_seen(self.response.cache, seen);
                let before = self.response.framed.len();
                let ttl = self.response.credential(&credential, true);
                self.untold.push(ttl);
                self.room.take(self.response.framed.len() - before)
            }
            // Has its share of the room.
            Err(miss) => {
                self.response.miss(miss, true);
                true
            }
        }
    }

    /// Puts in what is left of the next credential's lifetime.
    #[inline]
    pub(super) fn tell(&mut self, left: Duration) {
        let place = self.untold.get(self.told).copied().unwrap_or_default();
        self.told += 1;
        if let Some(field) = self.response.framed.get_mut(place..place + TIME) {
            field.copy_from_slice(&time(TTL, left)[..TIME]);
        }
    }

    pub(super) fn framed(self) -> Vec<u8> {
        self.response.framed()
    }
}

impl<'a> Response<'a> {
    /// Room for so many bytes besides what comes around one credential.
    fn with_capacity(cache: &'a Cache, len: usize) -> Self {
        let mut framed = Vec::with_capacity(FRAME_HEAD + BESIDES_VALUE + len);
        framed.extend_from_slice(&[0; FRAME_HEAD]);
        Self { cache, framed }
    }

    /// Where its field of the lifetime left is.
    #[inline]
    fn credential(&mut self, credential: &Credential<'_>, in_result: bool) -> usize {
        let Credential {
            value,
            expires_at,
            ttl,
            refresh_at,
            version,
            tier,
            attributes,
        } = *credential;
        let mut fields = Scratch::<FIELDS>::new();
        // Each goes over the zeros behind the last.
        fields.put(0, time(EXPIRES_AT, expires_at));
        fields.put(TIME, time(TTL, ttl));
        fields.put(2 * TIME, time(REFRESH_AT, refresh_at));
        let at = 3 * TIME;
        let (digits, count) = number(version);
        fields.put(at, [VERSION]);
        fields.put(at + 1, digits);
        let at = at + 1 + count;
        let (tier_head, count) = head(TIER, tier.len());
        fields.put(at, tier_head);
        let at = at + count;
        fields.0[at..][..tier.len()].copy_from_slice(tier.as_bytes());
        let fields_len = at + tier.len();

        let value_len = match value.len() {
            // What is empty isn't sent.
            0 => 0,
            len => field_len(len),
        };
        let len = value_len + fields_len + attributes.len();
        self.framed
            .reserve(BESIDES_VALUE + value.len() + attributes.len());
        self.heads(CREDENTIAL, len, value.len(), in_result);
        self.framed.extend_from_slice(value);
        let place = self.framed.len();
        self.framed.extend_from_slice(&fields.0);
        self.framed.truncate(place + fields_len);
        self.framed.extend_from_slice(attributes);
        place + TIME
    }

    fn miss(&mut self, miss: Miss, in_result: bool) {
        let mut fields = Scratch::<{ 2 + LONGEST_NUMBER + TIME + 2 }>::new();
        let (digits, count) = number(response::miss_reason(miss.reason) as u64);
        fields.put(0, [REASON]);
        fields.put(1, digits);
        let mut len = 1 + count;
        if let Some(retry_after) = miss.retry_after {
            fields.put(len, time(RETRY_AFTER, retry_after));
            len += TIME;
        }
        self.heads(MISS, len, 0, in_result);
        self.framed.extend_from_slice(&fields.0[..len]);
    }

    /// What comes before the fields of an outcome of this length, and before the
    /// value if there is one.
    #[inline]
    fn heads(&mut self, outcome: u8, len: usize, value_len: usize, in_result: bool) {
        let mut heads = Scratch::<HEADS>::new();
        let mut at = 0;
        if in_result {
            at = heads.head(at, RESULTS, field_len(len));
        }
        at = heads.head(at, outcome, len);
        if value_len > 0 {
            at = heads.head(at, VALUE, value_len);
        }
        let end = self.framed.len() + at;
        self.framed.extend_from_slice(&heads.0);
        self.framed.truncate(end);
    }

    fn framed(mut self) -> Vec<u8> {
        // Messages are far below 4 GiB.
        let len = u32::try_from(self.framed.len() - FRAME_HEAD).unwrap_or(u32::MAX);
        self.framed[1..FRAME_HEAD].copy_from_slice(&len.to_be_bytes());
        self.framed
    }
}

impl<'a> Credential<'a> {
    fn of_hit(cache: &'a Cache, hit: &'a Hit) -> Self {
        Self {
            value: hit.value_bytes(),
            expires_at: hit.expires_at().since_unix(),
            ttl: hit.ttl(),
            refresh_at: hit.refresh_at().since_unix(),
            version: hit.version().number(),
            tier: &cache.tier_spec(hit.tier()).name,
            attributes: hit.attributes().encoded(),
        }
    }

    fn of_seen(cache: &'a Cache, seen: Seen<'a>) -> Self {
        Self {
            value: seen.value(),
            expires_at: seen.expires_at().since_unix(),
            ttl: Duration::ZERO,
            refresh_at: seen.refresh_at().since_unix(),
            version: seen.version().number(),
            tier: &cache.tier_spec(seen.tier()).name,
            attributes: seen.attributes().encoded(),
        }
    }
}

/// Where small fields are put together, so that they go into the response in
/// one piece, and of a length that is known beforehand.
struct Scratch<const LEN: usize>([u8; LEN]);

impl<const LEN: usize> Scratch<LEN> {
    #[inline(always)]
    fn new() -> Self {
        Self([0; LEN])
    }

    #[inline(always)]
    fn put<const BYTES: usize>(&mut self, at: usize, bytes: [u8; BYTES]) {
        self.0[at..][..BYTES].copy_from_slice(&bytes);
    }

    /// Where the next one goes.
    #[inline(always)]
    fn head(&mut self, at: usize, field: u8, len: usize) -> usize {
        let (bytes, count) = head(field, len);
        self.put(at, bytes);
        at + count
    }
}
