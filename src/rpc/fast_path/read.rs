//! Decodes requests as clients encode them: every field by its number, in any order.
//!
//! Returns `None` for unknown fields, invalid values and unusual encodings; the generated path
//! handles those.

use std::time::Duration;

use super::field_key::{length_delimited, varint};
use credcache_core::{Key, Name, NamespaceName};

use crate::rpc::{batch::MAX_ITEMS, fields::parse_lease_ttl, get::Get, times::parse_duration};

/// The fields of a BatchGet.
pub(super) struct BatchKeys<'a> {
    pub(super) namespace: NamespaceName<'a>,
    /// The keys, not checked yet.
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) min_ttl: Duration,
}

const NAMESPACE: u8 = length_delimited(1);
const KEY: u8 = length_delimited(2);
const MIN_TTL: u8 = length_delimited(3);
const ACQUIRE_LEASE: u8 = varint(4);
const WAIT: u8 = length_delimited(5);
const LEASE_TTL: u8 = length_delimited(6);
const SECONDS: u8 = varint(1);
const NANOS: u8 = varint(2);

pub(super) fn get(message: &[u8]) -> Option<Get<'_>> {
    let mut rest = Unread(message);
    let (mut namespace, mut key) = ("", "");
    let (mut min_ttl, mut wait, mut lease_ttl) = (None, None, None);
    let mut acquire_lease = false;
    while let Some(head) = rest.byte() {
        match head {
            NAMESPACE => namespace = rest.text()?,
            KEY => key = rest.text()?,
            MIN_TTL => rest.once(&mut min_ttl, parse_duration)?,
            ACQUIRE_LEASE => acquire_lease = rest.varint()? != 0,
            WAIT => rest.once(&mut wait, parse_duration)?,
            LEASE_TTL => rest.once(&mut lease_ttl, parse_lease_ttl)?,
            _ => return None,
        }
    }
    Some(Get {
        name: Name {
            namespace: NamespaceName::parse(namespace).ok()?,
            key: Key::parse(key).ok()?,
        },
        min_ttl: min_ttl.unwrap_or_default(),
        acquire_lease,
        lease_ttl,
        wait: wait.unwrap_or_default(),
    })
}

pub(super) fn batch_get(message: &[u8]) -> Option<BatchKeys<'_>> {
    let mut rest = Unread(message);
    let mut namespace = "";
    // Most keys are longer than six bytes, and two bytes come before each.
    let mut keys = Vec::with_capacity((message.len() / 8).min(MAX_ITEMS));
    let mut min_ttl = None;
    while let Some(head) = rest.byte() {
        match head {
            NAMESPACE => namespace = rest.text()?,
            KEY => {
                if keys.len() == MAX_ITEMS {
                    return None;
                }
                keys.push(rest.bytes()?);
            }
            MIN_TTL => rest.once(&mut min_ttl, parse_duration)?,
            _ => return None,
        }
    }
    if keys.is_empty() {
        return None;
    }
    Some(BatchKeys {
        namespace: NamespaceName::parse(namespace).ok()?,
        keys,
        min_ttl: min_ttl.unwrap_or_default(),
    })
}

/// The unread bytes of a message.
struct Unread<'a>(&'a [u8]);

impl<'a> Unread<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        // A tenth byte could overflow.
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    /// Reads a Duration that occurs for the first time. A second one would have to be merged with
    /// it.
    fn once(
        &mut self,
        value: &mut Option<Duration>,
        parse: impl FnOnce(prost_types::Duration) -> Result<Duration, &'static str>,
    ) -> Option<()> {
        let mut rest = Self(self.bytes()?);
        let mut duration = prost_types::Duration::default();
        while let Some(head) = rest.byte() {
            match head {
                SECONDS => duration.seconds = i64::try_from(rest.varint()?).ok()?,
                NANOS => duration.nanos = i32::try_from(rest.varint()?).ok()?,
                _ => return None,
            }
        }
        let duration = parse(duration).ok()?;
        value.replace(duration).is_none().then_some(())
    }
}
