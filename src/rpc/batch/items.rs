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

use crate::rpc::proto::PutRequest;

/// The most items of a batch.
pub(in crate::rpc) const MAX_ITEMS: usize = 1000;

const NAMESPACE: u32 = 1;
const KEYS: u32 = 2;
const MIN_TTL: u32 = 3;
const REQUESTS: u32 = 1;

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
            REQUESTS => self
                .requests
                .merge(tag, wire_type, buf, ctx, message::merge_repeated),
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
