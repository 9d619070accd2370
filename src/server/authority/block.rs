//! The fields of a header block in HPACK's encoding, read as far as necessary to find the
//! authority.
//!
//! Indexed fields are skipped: the authority that an index stands for was replaced when it was sent
//! in full. Nothing is therefore remembered from block to block.

use std::mem;

use http::uri::Authority;

use super::huffman;

const NAME: &[u8] = b":authority";
/// The index of the authority in HPACK's static table.
const INDEX: usize = 1;
/// The indices of the static table after the pseudo-headers.
const REGULAR: std::ops::RangeInclusive<usize> = 15..=61;

/// Replaces a literal authority that h2 would refuse. In a block that breaks off or is malformed,
/// an authority before that point is replaced all the same.
pub(super) fn repair(block: &mut [u8]) {
    if let Some(value) = authority(block) {
        value.repair();
    }
}

/// The value of the block's literal authority.
fn authority(block: &mut [u8]) -> Option<Text<'_>> {
    let mut rest = Rest(block);
    loop {
        rest.skip_known();
        let first = *rest.0.first()?;
        let prefix = match first {
            // An indexed field with a large index.
            0x80.. => {
                rest.number(7)?;
                continue;
            }
            // A literal field that is added to the dynamic table.
            0x40.. => 6,
            // A new size of the dynamic table.
            0x20.. => {
                rest.number(5)?;
                continue;
            }
            // A literal field that isn't added to the dynamic table.
            _ => 4,
        };
        let name = rest.number(prefix)?;
        // Pseudo-headers come first.
        if REGULAR.contains(&name) {
            return None;
        }
        let is_authority = name == INDEX || (name == 0 && rest.text()?.is(NAME));
        let value = rest.text()?;
        if is_authority {
            return Some(value);
        }
    }
}

/// The rest of a block.
struct Rest<'a>(&'a mut [u8]);

/// A string, plain or in Huffman's code.
struct Text<'a> {
    is_huffman: bool,
    bytes: &'a mut [u8],
}

impl<'a> Rest<'a> {
    /// Skips fields whose index fits into one byte, as most do.
    fn skip_known(&mut self) {
        let is_known = |byte: &&u8| (0x80..0xff).contains(*byte);
        let known = self.0.iter().take_while(is_known).count();
        self.0 = &mut mem::take(&mut self.0)[known..];
    }

    /// Reads a number that begins in the low bits of a byte. A valid number has at most four
    /// further bytes.
    fn number(&mut self, prefix: u32) -> Option<usize> {
        let mask = (1 << prefix) - 1;
        let mut number = usize::from(self.byte()?) & mask;
        if number < mask {
            return Some(number);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<Text<'a>> {
        let is_huffman = self.0.first()? & 0x80 != 0;
        let len = self.number(7)?;
        let (bytes, rest) = mem::take(&mut self.0).split_at_mut_checked(len)?;
        self.0 = rest;
        Some(Text { is_huffman, bytes })
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = mem::take(&mut self.0).split_first_mut()?;
        self.0 = rest;
        Some(*byte)
    }
}

impl Text<'_> {
    fn is(&self, text: &[u8]) -> bool {
        if self.is_huffman {
            huffman::decode(self.bytes).is_some_and(|decoded| decoded == text)
        } else {
            self.bytes == text
        }
    }

    /// Replaces an authority that h2 would refuse. An empty authority has no byte to replace;
    /// HTTP/2 forbids it.
    fn repair(self) {
        if self.is_huffman {
            match huffman::decode(self.bytes) {
                Some(text) if !is_accepted(&text) => huffman::fill(self.bytes, text.len()),
                _ => {}
            }
        } else if !is_accepted(self.bytes) {
            self.bytes.fill(b'x');
        }
    }
}

/// Whether h2 accepts the authority. h2 makes the same check.
fn is_accepted(authority: &[u8]) -> bool {
    Authority::try_from(authority).is_ok()
}
