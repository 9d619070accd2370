//! Where a response is put together: small fields in whole words.

use super::encode::head;

/// What is written of a small field at a time.
pub(super) const WORD: usize = size_of::<u128>();

/// What has been written, and zeros behind it: small fields are written as whole
/// words, of which the end is written over.
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
}

impl Buffer {
    /// Makes sure that so many more bytes can be written.
    #[inline]
    pub(super) fn make_room(&mut self, more: usize) {
        if self.bytes.len() < self.len + more {
            self.bytes.resize((self.len + more).next_power_of_two(), 0);
        }
    }

    /// The next bytes, to be written.
    #[inline(always)]
    pub(super) fn ahead(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.len..][..len]
    }

    /// The low bytes of a word.
    #[inline(always)]
    pub(super) fn put(&mut self, word: u128, count: usize) {
        self.ahead(WORD).copy_from_slice(&word.to_le_bytes());
        self.len += count;
    }

    #[inline(always)]
    pub(super) fn put_all(&mut self, bytes: &[u8]) {
        self.ahead(bytes.len()).copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline(always)]
    pub(super) fn head(&mut self, field: u8, len: usize) {
        let (word, count) = head(field, len);
        self.ahead(size_of::<u64>())
            .copy_from_slice(&word.to_le_bytes());
        self.len += count;
    }
}
