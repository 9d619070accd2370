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

/// Keys of numbers drawn at random, made before they are looked up.
pub(crate) struct Drawn(Vec<String>);

impl Drawn {
    /// Of entries numbered from 0 on; the same ones for the same seed.
    pub(crate) fn new(count: u32, entries: u32, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut key = Key::new();
        let keys = (0..count).map(|_| key.numbered(rng.u32(0..entries)).into());
        Self(keys.collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// All of them once, each chosen by what was found under the one before:
    /// every lookup waits for the last. Their number is no multiple of what is
    /// found.
    pub(crate) fn chase(&self, mut look_up: impl FnMut(&str) -> u8) {
        let mut at = 0;
        for _ in 0..self.0.len() {
            at = (at + usize::from(look_up(&self.0[at]))) % self.0.len();
        }
    }
}
