//! The keys of fields on the wire: field number and wire type in one byte.

pub(super) const fn length_delimited(number: u8) -> u8 {
    number << 3 | 2
}

pub(super) const fn varint(number: u8) -> u8 {
    number << 3
}
