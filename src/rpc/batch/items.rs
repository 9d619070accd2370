//! The requests of batches, decoded by hand.
//!
//! An empty item takes two bytes of a message and hundreds in memory, so prost's generated code
//! would turn 4 MiB into a gigabyte. This decoder keeps the items that a batch may have, and counts
//! further items without reading them. In all else, these types equal the generated ones.

use bytes::{Buf, BufMut};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, check_wire_type, message, skip_field, string},
};

use credcache_core::MAX_ATTRIBUTES;

use crate::rpc::{fields::MAX_TAGS_GIVEN, proto::PutRequest};

/// The most items of a batch.
pub(in crate::rpc) const MAX_ITEMS: usize = 1000;

const NAMESPACE: u32 = 1;
const KEYS: u32 = 2;
const MIN_TTL: u32 = 3;
const REQUESTS: u32 = 1;
const TAGS: u32 = 8;
const ATTRIBUTES: u32 = 9;

/// How many tags and attributes of an item are kept: one more than a Put may have, so that
/// the item is refused.
const KEPT_TAGS: usize = MAX_TAGS_GIVEN + 1;
const KEPT_ATTRIBUTES: usize = MAX_ATTRIBUTES + 1;

/// Keys to look up in one call.
#[derive(Default)]
pub struct BatchGetRequest {
    pub(in crate::rpc) namespace: String,
    pub(in crate::rpc) keys: Items<String>,
    pub(in crate::rpc) min_ttl: Option<prost_types::Duration>,
}

/// Credentials to store in one call.
#[derive(Default)]
pub struct BatchPutRequest {
    pub(in crate::rpc) requests: Items<PutRequest>,
}

/// A repeated field that keeps a bounded number of items.
pub(in crate::rpc) struct Items<T> {
    kept: Vec<T>,
    /// The number of items that were not kept.
    excess: usize,
}

impl<T> Items<T> {
    /// All items, or `None` if there are more than a batch may have.
    pub(in crate::rpc) fn all(&self) -> Option<&[T]> {
        (self.excess == 0).then_some(&self.kept)
    }

    /// The items that were kept.
    pub(in crate::rpc) fn kept_mut(&mut self) -> &mut [T] {
        &mut self.kept
    }

    /// The number of items in the message.
    pub(in crate::rpc) fn count(&self) -> usize {
        self.kept.len() + self.excess
    }

    fn merge<B: Buf>(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut B,
        ctx: DecodeContext,
        merge: impl FnOnce(WireType, &mut Vec<T>, &mut B, DecodeContext) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.kept.len() < MAX_ITEMS {
            return merge(wire_type, &mut self.kept, buf, ctx);
        }
        check_wire_type(WireType::LengthDelimited, wire_type)?;
        self.excess += 1;
        skip_field(wire_type, tag, buf, ctx)
    }
}

// Written by hand, because a derived `Default` would require `T: Default`.
impl<T> Default for Items<T> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            excess: 0,
        }
    }
}

/// A Put of a batch while it is decoded. Tags and attributes beyond those that are kept
/// aren't: an empty one takes two bytes of a message, and a dozen times as much in memory.
#[derive(Default)]
struct Put(PutRequest);

impl Message for Put {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.0.encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let is_full = match tag {
            TAGS => self.0.tags.len() >= KEPT_TAGS,
            ATTRIBUTES => self.0.attributes.len() >= KEPT_ATTRIBUTES,
            _ => false,
        };
        if is_full {
            check_wire_type(WireType::LengthDelimited, wire_type)?;
            return skip_field(wire_type, tag, buf, ctx);
        }
        self.0.merge_field(tag, wire_type, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

fn merge_put<B: Buf>(
    wire_type: WireType,
    puts: &mut Vec<PutRequest>,
    buf: &mut B,
    ctx: DecodeContext,
) -> Result<(), DecodeError> {
    let mut put = Put::default();
    message::merge(wire_type, &mut put, buf, ctx)?;
    puts.push(put.0);
    Ok(())
}

impl Message for BatchGetRequest {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if !self.namespace.is_empty() {
            string::encode(NAMESPACE, &self.namespace, buf);
        }
        string::encode_repeated(KEYS, &self.keys.kept, buf);
        if let Some(min_ttl) = &self.min_ttl {
            message::encode(MIN_TTL, min_ttl, buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            NAMESPACE => string::merge(wire_type, &mut self.namespace, buf, ctx),
            KEYS => self
                .keys
                .merge(tag, wire_type, buf, ctx, string::merge_repeated),
            MIN_TTL => {
                let min_ttl = self.min_ttl.get_or_insert_default();
                message::merge(wire_type, min_ttl, buf, ctx)
            }
            _ => skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        let namespace = match &self.namespace[..] {
            "" => 0,
            _ => string::encoded_len(NAMESPACE, &self.namespace),
        };
        let min_ttl = self.min_ttl.as_ref();
        namespace
            + string::encoded_len_repeated(KEYS, &self.keys.kept)
            + min_ttl.map_or(0, |min_ttl| message::encoded_len(MIN_TTL, min_ttl))
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Message for BatchPutRequest {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        message::encode_repeated(REQUESTS, &self.requests.kept, buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            REQUESTS => self.requests.merge(tag, wire_type, buf, ctx, merge_put),
            _ => skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        message::encoded_len_repeated(REQUESTS, &self.requests.kept)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_tags_and_attributes_of_a_batch_take_no_memory_beyond_those_that_are_kept() {
        const COUNT: usize = 1_000_000;
        for (field, kept) in [(TAGS, KEPT_TAGS), (ATTRIBUTES, 1)] {
            let key = u8::try_from(field << 3 | 2).unwrap();
            let mut message = Vec::new();
            let put = [key, 0].repeat(COUNT);
            prost::encoding::encode_key(REQUESTS, WireType::LengthDelimited, &mut message);
            prost::encoding::encode_varint(put.len() as u64, &mut message);
            message.extend(put);
            let batch = BatchPutRequest::decode(&*message).unwrap();
            let put = &batch.requests.all().unwrap()[0];
            assert_eq!(put.tags.len() + put.attributes.len(), kept);
        }
    }
}
