//! The fields of a header block, as HPACK encodes them, as far as the authority
//! has to be found among them.
//!
//! Fields that stand for ones of earlier blocks need no more than to be passed
//! over: what they stand for was replaced there. So nothing is remembered from
//! block to block.

use std::mem;

use http::uri::Authority;

use super::huffman;

const NAME: &[u8] = b":authority";
/// Its number among the fields that HPACK knows from the start.
const INDEX: usize = 1;
/// Where the pseudo-headers end among these, and where they all do.
const REGULAR: std::ops::RangeInclusive<usize> = 15..=61;

/// Replaces a literal authority that isn't one. The block may break off, or be
/// malformed; what comes before that is mended all the same.
pub(super) fn mend(block: &mut [u8]) {
    if let Some(value) = authority(block) {
        value.mend();
    }
}

/// The value of the block's literal authority.
fn authority(block: &mut [u8]) -> Option<Text<'_>> {
    let mut rest = Rest(block);
    loop {
        rest.skip_known();
        let first = *rest.0.first()?;
        let prefix = match first {
            // A field that is known by a large number.
            0x80.. => {
                rest.number(7)?;
                continue;
            }
            // A literal one, to be remembered.
            0x40.. => 6,
            // No field, but how much is to be remembered.
            0x20.. => {
                rest.number(5)?;
                continue;
            }
            // A literal one, not to be remembered.
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

/// What is left of a block.
struct Rest<'a>(&'a mut [u8]);

/// A string: as it is, or in Huffman's code.
struct Text<'a> {
    is_huffman: bool,
    bytes: &'a mut [u8],
}

impl<'a> Rest<'a> {
    /// Passes over fields that are known by numbers of one byte: most are.
    fn skip_known(&mut self) {
        let is_known = |byte: &&u8| (0x80..0xff).contains(*byte);
        let known = self.0.iter().take_while(is_known).count();
        self.0 = &mut mem::take(&mut self.0)[known..];
    }

    /// A number that begins in the last bits of a byte. No number of a block
    /// that can be meant has more than four bytes after that one.
    fn number(&mut self, prefix: u32) -> Option<usize> {
        let most = (1 << prefix) - 1;
        let mut number = usize::from(self.byte()?) & most;
        if number < most {
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

    /// Replaces an authority that h2 wouldn't take. An empty one can't be: it
    /// has no byte that could stand for another; HTTP/2 forbids it.
    fn mend(self) {
        if self.is_huffman {
            match huffman::decode(self.bytes) {
                Some(text) if !is_taken(&text) => huffman::fill(self.bytes, text.len()),
                _ => {}
            }
        } else if !is_taken(self.bytes) {
            self.bytes.fill(b'x');
        }
    }
}

/// Whether h2 takes it: it asks the same.
fn is_taken(authority: &[u8]) -> bool {
    Authority::try_from(authority).is_ok()
}
