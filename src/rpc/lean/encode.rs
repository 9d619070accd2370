//! Numbers and times as protobuf has them on the wire.

use std::time::Duration;

use super::{length_delimited, varint};

/// In Duration and Timestamp alike.
const SECONDS: u8 = varint(1);
const NANOS: u8 = varint(2);

/// Bytes of a field that is a Duration or a Timestamp.
pub(super) const TIME: usize = 14;
/// The most bytes of a number.
pub(super) const LONGEST_NUMBER: usize = 10;

/// A Duration or Timestamp as a field, and two bytes of zeros behind it.
///
/// Both numbers have five bytes, whatever they are: a number may be longer than it
/// needs to be, and so no place depends on one, and one can be put in later.
#[inline(always)]
pub(super) fn time(field: u8, time: Duration) -> [u8; TIME + 2] {
    // Instants are counted in nanoseconds of 64 bits: these are 35 at most.
    let seconds = five_bytes(time.as_secs());
    let nanos = five_bytes(time.subsec_nanos().into());
    let len = TIME as u64 - 2;
    let low = u64::from(field) | len << 8 | u64::from(SECONDS) << 16 | seconds << 24;
    let high = u64::from(NANOS) | nanos << 8;
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

/// The low 35 bits, seven to a byte.
#[inline(always)]
fn five_bytes(number: u64) -> u64 {
    let more = 0x8080_8080;
    spread(number) & 0xff_ffff_ffff | more
}

/// A number as short as it can be, and how many bytes of it count.
#[inline(always)]
pub(super) fn number(number: u64) -> ([u8; 16], usize) {
    let bits = u64::BITS - (number | 1).leading_zeros();
    let len = bits.div_ceil(7) as usize;
    // The eight bytes that are spread from one word, and two beyond.
    let low = spread(number) | 0x8080_8080_8080_8080;
    let high = number >> 56 & 0x7f | 0x80 | number >> 63 << 8;
    let mut bytes = (u128::from(low) | u128::from(high) << 64).to_le_bytes();
    bytes[len - 1] &= 0x7f;
    (bytes, len)
}

/// How many bytes a number has that is as short as it can be.
pub(super) fn number_len(number: usize) -> usize {
    prost::encoding::encoded_len_varint(number as u64)
}

/// The low 56 bits, seven to a byte.
#[inline(always)]
fn spread(number: u64) -> u64 {
    let halves = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1
}

/// The head of a field of this length, and how many bytes of it count.
#[inline(always)]
pub(super) fn head(field: u8, len: usize) -> ([u8; 8], usize) {
    // Messages are far below 2 GiB: five bytes.
    let (digits, count) = number(len as u64);
    let [a, b, c, d, e, ..] = digits;
    ([field, a, b, c, d, e, 0, 0], 1 + count)
}

/// The length of a field that has one of its own.
pub(super) fn field_len(len: usize) -> usize {
    1 + number_len(len) + len
}

const _: () = assert!(length_delimited(1) < 0x80, "one byte holds a field's head");

#[cfg(test)]
mod tests {
    use prost::{Message, encoding::encode_varint};

    use super::*;

    #[test]
    fn numbers_of_every_length_are_encoded_as_prost_does() {
        for bit in 0..u64::BITS {
            for number in [1 << bit, (1 << bit) - 1, u64::MAX >> bit] {
                let (bytes, len) = super::number(number);
                let mut expected = Vec::new();
                encode_varint(number, &mut expected);
                assert_eq!(bytes[..len], expected, "{number:#x}");
                assert!(len <= LONGEST_NUMBER);
            }
        }
    }

    #[test]
    fn heads_are_encoded_as_prost_does() {
        for len in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            1 << 20,
            4 << 20,
            (1 << 31) - 1,
        ] {
            let (bytes, count) = head(length_delimited(3), len);
            let mut expected = vec![length_delimited(3)];
            encode_varint(len as u64, &mut expected);
            assert_eq!(bytes[..count], expected);
            assert_eq!(field_len(len), count + len);
        }
    }

    #[test]
    fn times_say_what_they_are() {
        let longest = Duration::from_nanos(u64::MAX);
        for seconds in [0, 1, 127, 128, 2_000_000_000, longest.as_secs()] {
            for nanos in [0, 1, 128, 1 << 21, 999_999_999] {
                let encoded = time(7, Duration::new(seconds, nanos));
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
