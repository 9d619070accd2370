//! The buffer of a response. Small fields are written as whole words, whose unused end is then cut
//! off. This saves counting bytes, and zeroing the buffer first.

/// A compression flag and a length come before every message.
pub(crate) const FRAME_HEAD: usize = 5;
/// The bytes that are written for a small field at a time.
pub(super) const WORD: usize = size_of::<u128>();

pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// Creates a buffer that begins with `zeros` zeros and has room for `capacity` bytes after
    /// them.
    pub(super) fn new(zeros: usize, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(zeros + capacity);
        bytes.resize(zeros, 0);
        Self(bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Reserves room for `more` bytes.
    #[inline]
    pub(super) fn make_room(&mut self, more: usize) {
        self.0.reserve(more);
    }

    /// Writes the low `count` bytes of a word.
    #[inline(always)]
    pub(super) fn put(&mut self, word: u128, count: usize) {
        let len = self.len() + count;
        self.0.extend_from_slice(&word.to_le_bytes());
        self.0.truncate(len);
    }

    #[inline(always)]
    pub(super) fn put_all(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Overwrites bytes that were written before.
    #[inline(always)]
    pub(super) fn put_at(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..][..bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}
