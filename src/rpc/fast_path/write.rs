//! Responses, framed for gRPC, written in one pass into one buffer.

use std::{ops::ControlFlow, time::Duration};

use super::{
    buffer::{Buffer, FRAME_HEAD, WORD},
    encode::{HEAD, LONG, LONG_HEAD, MAX_NUMBER, TIME, head, long_head, number, time},
    field_key::{length_delimited, varint},
};
use credcache_core::{
    Cache, EntryView, Lookup, MAX_IN_PLACE, MAX_TAG, MAX_TAGS, Miss, Reader, Tags, TierId,
};

use crate::rpc::{batch::Room, credential::miss_reason};

/// The outcomes in GetResponse and in BatchGetResult.
const CREDENTIAL: u8 = length_delimited(1);
const MISS: u8 = length_delimited(2);

const RESULTS: u8 = length_delimited(1);

const VALUE: u8 = length_delimited(1);
const EXPIRES_AT: u8 = length_delimited(2);
const TTL: u8 = length_delimited(3);
const REFRESH_AT: u8 = length_delimited(4);
const VERSION: u8 = varint(5);
const TIER: u8 = length_delimited(6);
const TAGS: u8 = length_delimited(8);

const REASON: u8 = varint(1);
const RETRY_AFTER: u8 = length_delimited(2);

/// The most bytes that are written of an outcome besides its value, attributes and tags, including
/// the excess of whole words: three heads, three times, a number, and a tier of up to 63 bytes.
const BESIDES_VALUE: usize = 3 * LONG_HEAD + 3 * TIME + (1 + MAX_NUMBER) + (TIER_HEAD + 63) + WORD;
/// The most bytes that are written of a credential's tags.
const MAX_TAGS_LEN: usize = MAX_TAGS * (HEAD + MAX_TAG);
/// The expected bytes of a credential in a batch.
const EXPECTED: usize = 192;
/// The key and the length of the tier's field. A name of up to 63 bytes has a length of one byte.
const TIER_HEAD: usize = 2;

/// Writes a response into its buffer.
struct ResponseWriter<'a> {
    cache: &'a Cache,
    framed: Buffer,
    tier: TierField,
}

/// The field of the last written tier: the next credential is likely to be in the same tier.
struct TierField {
    of: Option<TierId>,
    /// The field in the low bytes. A longer field is cut.
    word: u128,
    len: usize,
}

/// Writes the response to a batch, with each outcome in a result.
pub(super) struct BatchWriter<'a> {
    response: ResponseWriter<'a>,
    room: Room,
    /// The offsets at which the remaining lifetimes are to be filled in.
    ttl_offsets: Vec<usize>,
    /// How many of the offsets are filled in.
    set: usize,
}

/// The fields of a credential that are written.
struct Credential<'a> {
    value: &'a [u8],
    expires_at: Duration,
    refresh_at: Duration,
    version: u64,
    tier: TierId,
    /// The attributes in their wire format.
    attributes: &'a [u8],
    tags: &'a Tags,
}

/// The response to a Get.
pub(super) fn get(cache: &Cache, lookup: &Lookup) -> Vec<u8> {
    match lookup {
        Lookup::Hit(hit) => {
            let credential = Credential::of(hit.view());
            let mut response = ResponseWriter::with_capacity(cache, credential.unbounded_len());
            let ttl = response.credential(&credential, false);
            response.set_ttl(ttl, hit.ttl());
            response.framed()
        }
        Lookup::Miss(miss) => {
            let mut response = ResponseWriter::with_capacity(cache, 0);
            response.miss(*miss, false);
            response.framed()
        }
    }
}

impl<'a> BatchWriter<'a> {
    pub(super) fn new(cache: &'a Cache, count: usize) -> Self {
        Self {
            response: ResponseWriter::with_capacity(
                cache,
                count * EXPECTED + MAX_IN_PLACE + MAX_TAGS_LEN,
            ),
            room: Room::for_misses(count),
            ttl_offsets: Vec::with_capacity(count),
            set: 0,
        }
    }

    /// Fills in the remaining lifetime of the next credential.
    #[inline]
    pub(super) fn set_next_ttl(&mut self, left: Duration) {
        if let Some(offset) = self.ttl_offsets.get(self.set) {
            self.response.set_ttl(*offset, left);
        }
        self.set += 1;
    }

    pub(super) fn framed(self) -> Vec<u8> {
        self.response.framed()
    }
}

impl Reader for BatchWriter<'_> {
    #[inline]
    fn make_room(&mut self) {
        self.response
            .framed
            .make_room(BESIDES_VALUE + MAX_IN_PLACE + MAX_TAGS_LEN);
    }

    /// Adds an outcome without its remaining lifetime, which isn't known yet. Breaks if the message
    /// has no room for the outcome.
    #[inline]
    fn read(&mut self, found: Result<EntryView<'_>, Miss>) -> ControlFlow<()> {
        match found {
            Ok(view) => {
                let credential = Credential::of(view);
                let before = self.response.framed.len();
                let ttl = self.response.credential(&credential, true);
                self.ttl_offsets.push(ttl);
                if !self.room.take(self.response.framed.len() - before) {
                    return ControlFlow::Break(());
                }
            }
            // A miss always fits into its share of the room.
            Err(miss) => self.response.miss(miss, true),
        }
        ControlFlow::Continue(())
    }
}

impl<'a> ResponseWriter<'a> {
    /// Creates a writer with room for `len` bytes besides one credential's other fields.
    fn with_capacity(cache: &'a Cache, len: usize) -> Self {
        Self {
            cache,
            framed: Buffer::new(FRAME_HEAD, BESIDES_VALUE + len),
            tier: TierField {
                of: None,
                word: 0,
                len: 0,
            },
        }
    }

    /// Adds a credential without its remaining lifetime, and returns the offset for it.
    #[inline(always)]
    fn credential(&mut self, credential: &Credential<'_>, in_result: bool) -> usize {
        let Credential {
            value,
            expires_at,
            refresh_at,
            version,
            tier,
            attributes,
            tags,
        } = *credential;
        let (digits, count) = number(version);
        if self.tier.of != Some(tier) {
            self.tier = TierField::new(tier, &self.cache.tier_spec(tier).name);
        }
        let tags_len = credential.tags_len();
        let fields_len = 3 * TIME + 1 + count + self.tier.len + attributes.len() + tags_len;

        let framed = &mut self.framed;
        framed.make_room(BESIDES_VALUE + value.len() + attributes.len() + tags_len);
        framed.heads(CREDENTIAL, value.len(), fields_len, in_result);
        framed.put_all(value);
        framed.put(time(EXPIRES_AT, expires_at), TIME);
        let ttl = framed.len();
        framed.put(0, TIME);
        framed.put(time(REFRESH_AT, refresh_at), TIME);
        framed.put(u128::from(VERSION) | digits << 8, 1 + count);
        framed.put(self.tier.word, self.tier.len.min(WORD));
        if self.tier.len > WORD {
            let name = &self.cache.tier_spec(tier).name;
            framed.put_all(&name.as_bytes()[WORD - TIER_HEAD..]);
        }
        if !attributes.is_empty() {
            framed.put_all(attributes);
        }
        for tag in tags.iter() {
            framed.put(head(TAGS, tag.len()).into(), HEAD);
            framed.put_all(tag.as_bytes());
        }
        ttl
    }

    /// Fills in a remaining lifetime.
    #[inline]
    fn set_ttl(&mut self, offset: usize, left: Duration) {
        let field = time(TTL, left).to_le_bytes();
        self.framed.put_at(offset, &field[..TIME]);
    }

    fn miss(&mut self, miss: Miss, in_result: bool) {
        // The numbers of reasons fit into one byte.
        let reason = miss_reason(miss.reason) as u64;
        let len = 2 + miss.retry_after.map_or(0, |_| TIME);
        self.framed.make_room(BESIDES_VALUE);
        self.framed.heads(MISS, 0, len, in_result);
        self.framed
            .put(u128::from(REASON) | u128::from(reason) << 8, 2);
        if let Some(retry_after) = miss.retry_after {
            self.framed.put(time(RETRY_AFTER, retry_after), TIME);
        }
    }

    fn framed(self) -> Vec<u8> {
        let mut framed = self.framed;
        // Messages are far below 4 GiB.
        let len = u32::try_from(framed.len() - FRAME_HEAD).unwrap_or(u32::MAX);
        framed.put_at(1, &len.to_be_bytes());
        framed.finish()
    }
}

impl TierField {
    fn new(tier: TierId, name: &str) -> Self {
        let mut bytes = [0; WORD];
        // Names have at most 63 bytes, so the length takes one byte.
        bytes[..TIER_HEAD].copy_from_slice(&[TIER, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        for (byte, of_name) in bytes[TIER_HEAD..].iter_mut().zip(name.bytes()) {
            *byte = of_name;
        }
        Self {
            of: Some(tier),
            word: u128::from_le_bytes(bytes),
            len: TIER_HEAD + name.len(),
        }
    }
}

impl Buffer {
    /// Writes the heads of an outcome with a value, if it isn't empty, and other fields. All heads
    /// have one length, so that each length is known in advance.
    #[inline(always)]
    fn heads(&mut self, outcome: u8, value: usize, fields: usize, in_result: bool) {
        let is_long = value + fields + 2 * HEAD >= LONG;
        let each = if is_long { LONG_HEAD } else { HEAD };
        // An empty value isn't sent.
        let before_value = if value == 0 { 0 } else { each };
        let len = before_value + value + fields;
        let heads = [
            (in_result, RESULTS, each + len),
            (true, outcome, len),
            (value > 0, VALUE, value),
        ];
        if is_long {
            for (is_present, field, len) in heads {
                if is_present {
                    self.put(long_head(field, len).into(), LONG_HEAD);
                }
            }
            return;
        }
        // All heads in one word.
        let (mut word, mut count) = (0, 0);
        for (is_present, field, len) in heads {
            if is_present {
                word |= u128::from(head(field, len)) << (8 * count);
                count += HEAD;
            }
        }
        self.put(word, count);
    }
}

impl<'a> Credential<'a> {
    fn of(view: EntryView<'a>) -> Self {
        Self {
            value: view.value(),
            expires_at: view.expires_at().since_unix(),
            refresh_at: view.refresh_at().since_unix(),
            version: view.version().number(),
            tier: view.tier(),
            attributes: view.attributes().encoded(),
            tags: view.tags(),
        }
    }

    /// The bytes of the parts without a bound of their own: the value, the attributes and the tags.
    fn unbounded_len(&self) -> usize {
        self.value.len() + self.attributes.len() + self.tags_len()
    }

    /// Each tag has a short head, because tags are far below [`LONG`].
    #[inline]
    fn tags_len(&self) -> usize {
        self.tags.iter().map(|tag| HEAD + tag.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use credcache_core::{Limits, Tag, TierSpec};

    use crate::rpc::proto::{self, get_response::Outcome};

    #[test]
    fn credentials_of_every_size_are_what_they_say() {
        let names = [1, 13, 14, 15, 63].map(|len| "t".repeat(len));
        let tiers = (1..).zip(&names).map(|(minutes, name)| TierSpec {
            name: name.clone(),
            max_ttl: Duration::from_secs(60 * minutes),
            capacity: 256 << 20,
        });
        let cache = Cache::new(tiers.collect(), Limits::DEFAULT).unwrap();
        for (name, value, attribute, tag, version) in names
            .iter()
            .flat_map(|name| [0, 1, 127, 128, 16_384, 65_536].map(|value| (name, value)))
            .flat_map(|(name, value)| [0, 1, 4_000].map(|text| (name, value, text)))
            .flat_map(|(name, value, text)| [0, 2, 127, 128].map(|tag| (name, value, text, tag)))
            .flat_map(|(name, value, text, tag)| {
                let versions = [1, (1 << 35) - 1, 1 << 35, u64::MAX];
                versions.map(|version| (name, value, text, tag, version))
            })
        {
            let tags: Vec<_> = match tag {
                0 => Vec::new(),
                len => (0..MAX_TAGS).map(|nth| format!("{nth:0len$}")).collect(),
            };
            let expected = proto::Credential {
                value: vec![7; value].into(),
                expires_at: Some(prost_types::Timestamp {
                    seconds: 2_000_000_000,
                    nanos: 999_999_999,
                }),
                ttl: Some(prost_types::Duration {
                    seconds: 1,
                    nanos: 0,
                }),
                refresh_at: Some(prost_types::Timestamp {
                    seconds: 127,
                    nanos: 128,
                }),
                version,
                tier: name.clone(),
                attributes: [(String::new(), "x".repeat(attribute))].into(),
                tags: tags.clone(),
            };
            let only_attributes = proto::Credential {
                attributes: expected.attributes.clone(),
                ..Default::default()
            };
            let attributes = only_attributes.encode_to_vec();
            let tags = Tags::new(tags.iter().map(|tag| Tag::parse(tag).unwrap())).unwrap();
            let mut response = ResponseWriter::with_capacity(&cache, 0);
            let ttl = response.credential(
                &Credential {
                    value: &expected.value,
                    expires_at: Duration::new(2_000_000_000, 999_999_999),
                    refresh_at: Duration::new(127, 128),
                    version,
                    tier: cache.tier(name).unwrap(),
                    attributes: &attributes,
                    tags: &tags,
                },
                false,
            );
            response.set_ttl(ttl, Duration::from_secs(1));
            let framed = response.framed();
            let decoded = proto::GetResponse::decode(&framed[FRAME_HEAD..]).unwrap();
            assert!(decoded.outcome == Some(Outcome::Credential(expected)));
        }
    }

    #[test]
    fn heads_around_the_longest_short_length_are_read_as_they_were_meant() {
        let tier = TierSpec {
            name: "t".into(),
            max_ttl: Duration::from_secs(60),
            capacity: 256 << 20,
        };
        let cache = Cache::new(vec![tier], Limits::DEFAULT).unwrap();
        for len in LONG - 100..=LONG {
            let value = vec![7; len];
            let written = |in_result| {
                let mut response = ResponseWriter::with_capacity(&cache, 0);
                let credential = Credential {
                    value: &value,
                    expires_at: Duration::ZERO,
                    refresh_at: Duration::ZERO,
                    version: 1,
                    tier: cache.tier("t").unwrap(),
                    attributes: &[],
                    tags: &Tags::default(),
                };
                let ttl = response.credential(&credential, in_result);
                response.set_ttl(ttl, Duration::ZERO);
                response.framed()
            };
            let alone = proto::GetResponse::decode(&written(false)[FRAME_HEAD..]).unwrap();
            let batch = proto::BatchGetResponse::decode(&written(true)[FRAME_HEAD..]).unwrap();
            let Some(Outcome::Credential(credential)) = alone.outcome else {
                panic!("no credential at {len}");
            };
            assert!(credential.value == value, "{len}");
            let [result] = &batch.results[..] else {
                panic!("{} results at {len}", batch.results.len());
            };
            let expected = proto::batch_get_result::Outcome::Credential(credential);
            assert!(result.outcome.as_ref() == Some(&expected), "{len}");
        }
    }
}
