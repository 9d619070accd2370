//! The attributes of a credential: pairs of text that a Put attaches.
//!
//! The pairs are kept in the encoding that a protobuf map has on the wire, so that a response can
//! copy them. They are zeroed when dropped because they may be as sensitive as the value.

use std::fmt;

use zeroize::Zeroizing;

use crate::model::limits::{MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES, TooMany};

/// The number of the field `attributes` in the contract's message `Credential`, which
/// [`AttributesRef::encoded`] uses.
pub const ATTRIBUTES_FIELD: u8 = 7;

/// Pairs of text, in the order in which the caller gave them.
pub struct Attributes(Zeroizing<Box<[u8]>>);

/// The attributes of a stored entry, borrowed.
#[derive(Clone, Copy)]
pub struct AttributesRef<'a>(&'a [u8]);

/// The protobuf wire type of a field with a length.
const LENGTH_DELIMITED: u8 = 2;
const PAIR: u8 = ATTRIBUTES_FIELD << 3 | LENGTH_DELIMITED;
const NAME: u8 = 1 << 3 | LENGTH_DELIMITED;
const VALUE: u8 = 2 << 3 | LENGTH_DELIMITED;
/// The most bytes that a pair takes in addition to its texts: three fields, each with a length of
/// up to two bytes.
const PAIR_OVERHEAD: usize = 9;
/// The most bytes that the encoded attributes of a credential take.
pub(crate) const MAX_ENCODED: usize = MAX_ATTRIBUTES * PAIR_OVERHEAD + MAX_ATTRIBUTE_BYTES;

impl Attributes {
    /// Copies the pairs.
    ///
    /// # Errors
    /// [`TooMany`] for more than [`MAX_ATTRIBUTES`] pairs, or for more than [`MAX_ATTRIBUTE_BYTES`]
    /// in total.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, TooMany> {
        let pairs: Vec<_> = pairs.into_iter().collect();
        if pairs.len() > MAX_ATTRIBUTES {
            return Err(TooMany::new("pairs", MAX_ATTRIBUTES));
        }
        let bytes: usize = pairs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes > MAX_ATTRIBUTE_BYTES {
            return Err(TooMany::new("bytes in all", MAX_ATTRIBUTE_BYTES));
        }
        // Allocated at its final length: a buffer that grows leaves copies of its content behind.
        let len = pairs.iter().map(|pair| field_len(pair_len(*pair))).sum();
        let mut encoded = Vec::with_capacity(len);
        for (name, value) in pairs {
            put_head(&mut encoded, PAIR, pair_len((name, value)));
            put_text(&mut encoded, NAME, name);
            put_text(&mut encoded, VALUE, value);
        }
        Ok(Self(Zeroizing::new(encoded.into())))
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.0
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self(Zeroizing::new(Box::default()))
    }
}

impl<'a> AttributesRef<'a> {
    pub(crate) fn new(encoded: &'a [u8]) -> Self {
        Self(encoded)
    }

    /// The pairs in the encoding of a `Credential` message: each pair is a complete field
    /// [`ATTRIBUTES_FIELD`] with its key and length.
    #[must_use]
    pub fn encoded(self) -> &'a [u8] {
        self.0
    }

    /// Iterates over the pairs of name and value, in their original order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let mut pair = take_field(&mut left, PAIR)?;
            let name = take_field(&mut pair, NAME).unwrap_or_default();
            let value = take_field(&mut pair, VALUE).unwrap_or_default();
            Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))
        })
    }
}

fn pair_len((name, value): (&str, &str)) -> usize {
    text_len(name) + text_len(value)
}

/// An empty text isn't encoded, as is usual in protobuf.
fn text_len(text: &str) -> usize {
    match text {
        "" => 0,
        text => field_len(text.len()),
    }
}

fn put_text(to: &mut Vec<u8>, key: u8, text: &str) {
    if !text.is_empty() {
        put_head(to, key, text.len());
        to.extend_from_slice(text.as_bytes());
    }
}

fn field_len(content: usize) -> usize {
    let bits = usize::BITS - (content | 1).leading_zeros();
    1 + bits.div_ceil(7) as usize + content
}

/// Writes the key of a field and its length as a varint: groups of seven bits, lowest first, with
/// the highest bit set in all but the last.
fn put_head(to: &mut Vec<u8>, key: u8, mut len: usize) {
    to.push(key);
    while len >= 0x80 {
        to.push(0x80 | low_bits(len));
        len >>= 7;
    }
    to.push(low_bits(len));
}

fn low_bits(number: usize) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

/// Splits the next field off and returns its content, or `None` if the next field has another key.
fn take_field<'a>(from: &mut &'a [u8], key: u8) -> Option<&'a [u8]> {
    let mut rest = from.strip_prefix(&[key])?;
    let (mut len, mut shift) = (0, 0);
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        len |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (content, after) = rest.split_at_checked(len)?;
    *from = after;
    Some(content)
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AttributesRef::new(self.encoded()).fmt(f)
    }
}

impl fmt::Debug for AttributesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes(<{}>)", self.iter().count())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn pairs_come_back_as_they_went_in(
            pairs in vec(("[a-zäß]{0,9}", "\\PC{0,200}"), 0..=MAX_ATTRIBUTES),
        ) {
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let bytes: usize = pairs.iter().map(|(n, v)| n.len() + v.len()).sum();
            prop_assume!(bytes <= MAX_ATTRIBUTE_BYTES);
            let attributes = Attributes::new(pairs.clone()).expect("within the limits");
            let encoded = attributes.encoded();
            prop_assert!(encoded.len() <= bytes + pairs.len() * PAIR_OVERHEAD);
            let back: Vec<_> = AttributesRef::new(encoded).iter().collect();
            prop_assert_eq!(back, pairs);
        }
    }

    #[test]
    fn as_many_as_may_be_are_taken_and_no_more() {
        let longest = "x".repeat(MAX_ATTRIBUTE_BYTES);
        let attributes = Attributes::new([("", longest.as_str())]).expect("the most");
        assert!(attributes.encoded().len() <= MAX_ENCODED);
        assert!(Attributes::new([("x", longest.as_str())]).is_err());
        assert!(Attributes::new([("", ""); MAX_ATTRIBUTES]).is_ok());
        assert!(Attributes::new([("", ""); MAX_ATTRIBUTES + 1]).is_err());
    }
}
