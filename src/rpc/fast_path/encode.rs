//! Numbers and times in protobuf's wire format.

use std::time::Duration;

use super::field_key::varint;

/// The field of Duration and of Timestamp.
const SECONDS: u8 = varint(1);
const NANOS: u8 = varint(2);

/// The bytes of a field that is a Duration or a Timestamp.
pub(super) const TIME: usize = 14;
/// The most bytes of a number.
pub(super) const MAX_NUMBER: usize = 10;

/// A Duration or Timestamp as a field, in the low bytes of a word.
///
/// Both numbers take five bytes whatever their values are, which the wire format allows. The offset
/// of a later field therefore doesn't depend on them, and a time can be filled in later.
#[inline(always)]
pub(super) fn time(field: u8, time: Duration) -> u128 {
    // Times are counted in nanoseconds of 64 bits, so their seconds have at most 35 bits.
    let seconds = five_bytes(time.as_secs());
    let nanos = five_bytes(time.subsec_nanos().into());
    let len = TIME as u64 - 2;
    let low = u64::from(field) | len << 8 | u64::from(SECONDS) << 16 | seconds << 24;
    let high = u64::from(NANOS) | nanos << 8;
    u128::from(low) | u128::from(high) << 64
}

/// The low 35 bits, seven per byte.
#[inline(always)]
fn five_bytes(number: u64) -> u64 {
    let more = 0x8080_8080;
    spread(number) & 0xff_ffff_ffff | more
}

/// A number in as few bytes as possible but at least five, in the low bytes of a word, and the
/// count of these bytes.
#[inline(always)]
pub(super) fn number(number: u64) -> (u128, usize) {
    if number < 1 << 35 {
        return (five_bytes(number).into(), 5);
    }
    long_number(number)
}

#[cold]
fn long_number(number: u64) -> (u128, usize) {
    let mut word = 0;
    let mut len = 0;
    let mut rest = number;
    while rest > 0 {
        let more = if rest < 0x80 { 0 } else { 0x80 };
        word |= u128::from(rest & 0x7f | more) << (8 * len);
        rest >>= 7;
        len += 1;
    }
    (word, len)
}

/// The low 56 bits, seven per byte.
#[inline(always)]
fn spread(number: u64) -> u64 {
    let halves = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1
}

/// The bytes of a field's head, which is the field's key and length: if all lengths around it are
/// below [`LONG`], and if they may not be.
pub(super) const HEAD: usize = 3;
pub(super) const LONG_HEAD: usize = 6;
/// The first length that is too long for a [`head`].
pub(super) const LONG: usize = 1 << 14;

/// The head of a field of this length, below [`LONG`], in the low bytes of a word.
#[inline(always)]
pub(super) fn head(field: u8, len: usize) -> u64 {
    let len = len as u64;
    u64::from(field) | (len & 0x7f | 0x80) << 8 | len >> 7 << 16
}

/// The head of a field of a length of up to 4 GiB.
#[inline(always)]
pub(super) fn long_head(field: u8, len: usize) -> u64 {
    u64::from(field) | five_bytes(len as u64) << 8
}

#[cfg(test)]
mod tests {
    use prost::{Message, encoding::decode_varint};

    use crate::rpc::fast_path::field_key::length_delimited;

    use super::*;

    #[test]
    fn numbers_of_every_length_say_what_they_are() {
        for bit in 0..u64::BITS {
            for number in [0, 1 << bit, (1 << bit) - 1, u64::MAX >> bit] {
                let (word, len) = super::number(number);
                let bytes = word.to_le_bytes();
                let mut encoded = &bytes[..len];
                assert_eq!(decode_varint(&mut encoded).unwrap(), number);
                assert!(encoded.is_empty(), "{number:#x}");
                assert!(len <= MAX_NUMBER);
                assert_eq!(word >> (8 * len), 0);
            }
        }
    }

    #[test]
    fn heads_say_what_they_are() {
        let field = length_delimited(3);
        let check = |word: u64, count: usize, len: usize| {
            let bytes = word.to_le_bytes();
            let mut encoded = &bytes[1..count];
            assert_eq!(bytes[0], field);
            assert_eq!(decode_varint(&mut encoded).unwrap(), len as u64);
            assert!(encoded.is_empty(), "{len}");
            assert_eq!(word >> (8 * count), 0);
        };
        for len in [0, 1, 127, 128, LONG - 1] {
            check(head(field, len), HEAD, len);
        }
        for len in [0, 1, 127, 128, LONG - 1, LONG, 4 << 20, (1 << 32) - 1] {
            check(long_head(field, len), LONG_HEAD, len);
        }
    }

    #[test]
    fn times_say_what_they_are() {
        let longest = Duration::from_nanos(u64::MAX);
        for seconds in [0, 1, 127, 128, 2_000_000_000, longest.as_secs()] {
            for nanos in [0, 1, 128, 1 << 21, 999_999_999] {
                let encoded = time(7, Duration::new(seconds, nanos)).to_le_bytes();
                assert_eq!(encoded[0], 7);
                assert_eq!(encoded[TIME..], [0, 0]);
                let decoded = prost_types::Duration::decode_length_delimited(&encoded[1..TIME]);
                let expected = prost_types::Duration {
                    seconds: seconds.cast_signed(),
                    nanos: nanos.cast_signed(),
                };
                assert_eq!(decoded.unwrap(), expected);
            }
        }
    }
}
