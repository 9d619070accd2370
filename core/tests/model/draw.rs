//! The random choices of a step.

use std::time::Duration;

use credcache_core::{LeaseRequest, Token};
use fastrand::Rng;

use crate::{
    clocks::SECOND,
    names::{self, KEYS, NAMESPACES, Name, TAGS},
    reference::Selection,
};

pub(crate) struct Draw {
    pub(crate) rng: Rng,
    /// Whether the cache has room for everything.
    roomy: bool,
    tokens: u128,
}

/// The number of hot keys: most operations on a name use one of these.
const HOT: usize = 9;

impl Draw {
    pub(crate) fn new(rng: Rng, roomy: bool) -> Self {
        let tokens = 0;
        Self { rng, roomy, tokens }
    }

    /// True in one of `times` cases.
    pub(crate) fn once_in(&mut self, times: u32) -> bool {
        self.rng.u32(0..times) == 0
    }

    pub(crate) fn name(&mut self) -> Name {
        let keys = match (self.roomy, self.rng.u8(0..6)) {
            (true, 0..3) | (false, 0..2) => HOT,
            (true, _) => 40,
            (false, _) => KEYS,
        };
        Name {
            namespace: self.namespace(),
            key: self.rng.usize(0..keys),
        }
    }

    pub(crate) fn namespace(&mut self) -> usize {
        self.rng.usize(0..NAMESPACES.len())
    }

    pub(crate) fn tags(&mut self) -> Vec<usize> {
        let mut tags: Vec<usize> = (0..self.rng.usize(0..3))
            .map(|_| self.rng.usize(0..TAGS.len()))
            .collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    pub(crate) fn value(&mut self, longest: usize) -> Vec<u8> {
        let shortest = if self.roomy { 0 } else { longest / 2 };
        let mut value = vec![0; self.rng.usize(shortest..=longest)];
        self.rng.fill(&mut value);
        value
    }

    /// A token that was never used.
    pub(crate) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token::from_bytes(self.tokens.to_be_bytes())
    }

    /// A request for a lease.
    pub(crate) fn lease_request(&mut self) -> LeaseRequest {
        LeaseRequest {
            token: self.token(),
            ttl: self.lease_ttl(),
        }
    }

    pub(crate) fn selection(&mut self, key: usize) -> Selection {
        match self.rng.u8(0..80) {
            0..36 => Selection::Key(key),
            36..54 => {
                let text = names::key(key);
                Selection::Prefix(&text[..self.rng.usize(1..=text.len())])
            }
            54..78 => Selection::Tag(self.rng.usize(0..TAGS.len())),
            _ => Selection::All,
        }
    }

    /// A positive length of time in nanoseconds: from one nanosecond to beyond the longest tier,
    /// with all orders of magnitude equally likely.
    pub(crate) fn length(&mut self) -> u64 {
        let most = 1_u64 << self.rng.u32(1..44);
        self.rng.u64(1..=most)
    }

    /// In a tight cache mostly the same tier, so that it fills.
    pub(crate) fn tier(&mut self, tiers: usize) -> Option<usize> {
        match self.rng.u8(0..8) {
            0..2 => Some(self.rng.usize(0..tiers)),
            2..7 if !self.roomy => Some(tiers - 1),
            _ => None,
        }
    }

    /// Sometimes very short, but mostly long enough to outlive some steps.
    pub(crate) fn lifetime(&mut self) -> u64 {
        if self.once_in(8) {
            return self.length();
        }
        let most = 1_u64 << self.rng.u32(30..44);
        self.rng.u64(1..=most)
    }

    /// One of these names, if there is any.
    pub(crate) fn one_of<'a>(
        &mut self,
        mut names: impl ExactSizeIterator<Item = &'a Name>,
    ) -> Option<Name> {
        let index = self.index(names.len())?;
        names.nth(index).copied()
    }

    /// The requested lifetime of a lease, or none.
    pub(crate) fn lease_ttl(&mut self) -> Option<Duration> {
        let most = [10, 300][self.rng.usize(0..2)] * SECOND;
        let ttl = Duration::from_nanos(self.rng.u64(SECOND..=most));
        self.rng.bool().then_some(ttl)
    }

    /// An index below `of`, unless that is 0.
    pub(crate) fn index(&mut self, of: usize) -> Option<usize> {
        (of > 0).then(|| self.rng.usize(0..of))
    }
}
