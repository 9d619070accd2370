//! What a step is made of, drawn at random.

use fastrand::Rng;

use crate::reference::TIERS;

const NAMESPACES: [&str; 3] = ["a", "ab", "b.c"];

pub(crate) struct Draw {
    pub(crate) rng: Rng,
    /// Whether the cache has room for everything.
    pub(crate) roomy: bool,
}

impl Draw {
    pub(crate) fn name(&mut self) -> (String, String) {
        let namespace = NAMESPACES[self.rng.usize(0..NAMESPACES.len())];
        // Short ones among them, so that prefixes and namespaces can be
        // mistaken for keys: ("a", "b…") and ("ab", "…").
        let number = self.rng.u64(0..if self.roomy { 40 } else { 1_500 });
        let key = match number % 3 {
            0 => format!("b{number}"),
            1 => format!("{number}"),
            _ => format!("bb/{number}"),
        };
        (namespace.into(), key)
    }

    pub(crate) fn tag(&mut self) -> String {
        format!("tag{}", self.rng.u8(0..5))
    }

    /// A length of time above zero: from a nanosecond to beyond the longest
    /// tier, all orders alike.
    pub(crate) fn length(&mut self) -> u64 {
        let most = 1_u64 << self.rng.u32(1..44);
        self.rng.u64(1..=most)
    }

    /// In a tight cache mostly one and the same, so that it fills.
    pub(crate) fn tier(&mut self) -> Option<usize> {
        match self.rng.u8(0..8) {
            0..2 => Some(self.rng.usize(0..TIERS.len())),
            2..7 if !self.roomy => Some(TIERS.len() - 1),
            _ => None,
        }
    }

    /// Now and then as short as it gets, mostly such that it outlives some steps.
    pub(crate) fn lifetime(&mut self) -> u64 {
        if self.rng.u8(0..8) == 0 {
            return self.length();
        }
        let most = 1_u64 << self.rng.u32(30..44);
        self.rng.u64(1..=most)
    }
}
