//! The keys: 40 bytes each, as long as a role's name often is.

pub(crate) const KEY: usize = 40;

/// A key, in a buffer that serves for the next one too.
pub(crate) struct Key([u8; KEY]);

impl Key {
    pub(crate) fn new() -> Self {
        Self(*b"arn:aws:iam::123456789012:role/x00000000")
    }

    pub(crate) fn numbered(&mut self, number: u32) -> &str {
        let mut rest = number;
        for digit in self.0[KEY - 8..].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest % 16) as usize];
            rest /= 16;
        }
        // ASCII, as above.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Keys of entries numbered from 0 on, drawn at random; the same ones for the
/// same seed.
pub(crate) fn drawn(count: u32, entries: u32, seed: u64) -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut key = Key::new();
    let keys = (0..count).map(|_| key.numbered(rng.u32(0..entries)).into());
    keys.collect()
}
