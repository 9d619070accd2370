//! Where a response is put together: small fields as whole words, of which the end
//! is taken back. It spares counting bytes, and a buffer that is zeroed first.

/// What is written of a small field at a time.
pub(super) const WORD: usize = size_of::<u128>();

pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// Begins with so many zeros, and has room for so many bytes behind them.
    pub(super) fn new(zeros: usize, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(zeros + capacity);
        bytes.resize(zeros, 0);
        Self(bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes sure that so many more bytes can be written without looking for memory.
    #[inline]
    pub(super) fn make_room(&mut self, more: usize) {
        self.0.reserve(more);
    }

    /// The low bytes of a word.
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

    /// Writes over what has been written.
    #[inline(always)]
    pub(super) fn put_at(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..][..bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}
