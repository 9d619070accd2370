//! The fields of a Put, chosen so that every rule is kept and broken.

use std::time::Duration;

use credcache_core::{Lifetime, Precondition, Revision, Token};

use super::super::Episode;
use crate::{
    clocks::wall,
    names::{self, KEYS, Name},
    reference::{Revocation, Selection},
};

/// The fields of a Put except its value.
pub(super) struct Stated {
    pub(super) name: Name,
    pub(super) tags: Vec<usize>,
    pub(super) lifetime: Lifetime,
    pub(super) tier: Option<usize>,
    pub(super) refresh_before: Option<Duration>,
    pub(super) issued_at: Option<u64>,
    pub(super) lease: Option<Token>,
    pub(super) precondition: Option<Precondition>,
}

impl Episode<'_> {
    pub(in crate::steps) fn put(&mut self) {
        let name = self.draw.name();
        let lease = self.draw.once_in(12).then(|| self.some_token(name));
        let stated = self.stated(name, lease);
        self.store(stated);
    }

    /// A Put under a lease, most often the current lease.
    pub(in crate::steps) fn fill(&mut self) {
        let name = self.held_name();
        let token = self.some_token(name);
        let stated = self.stated(name, Some(token));
        self.store(stated);
    }

    /// A Put of a credential that the revocation covers and that was issued at the last refused
    /// instant.
    pub(in crate::steps) fn put_revoked(&mut self, by: &Revocation) {
        let mut name = Name {
            namespace: by.namespace,
            ..self.draw.name()
        };
        match &by.selection {
            Selection::Key(key) => name.key = *key,
            Selection::Prefix(prefix) => {
                let mut keys = 0..KEYS;
                let matching = keys.find(|key| names::key(*key).starts_with(prefix));
                name.key = matching.expect("the prefix of a key");
            }
            Selection::Tag(_) | Selection::All => {}
        }
        let mut stated = self.stated(name, None);
        if let Selection::Tag(tag) = by.selection {
            stated.tags = vec![tag];
        }
        stated.issued_at = Some(by.issued_before);
        self.store(stated);
    }

    fn stated(&mut self, name: Name, lease: Option<Token>) -> Stated {
        let length = self.draw.lifetime();
        let lifetime = match self.draw.rng.u8(0..100) {
            0 => Lifetime::Until(wall(self.clocks.wall - self.draw.rng.u64(0..2))),
            1..50 => Lifetime::Until(wall(self.clocks.wall + length)),
            _ => Lifetime::For(Duration::from_nanos(length)),
        };
        let refresh_before = match self.draw.rng.u8(0..4) {
            0 => Some(Duration::from_nanos(self.draw.rng.u64(0..=length))),
            1 => Some(Duration::from_nanos(self.draw.length())),
            _ => None,
        };
        let precondition = match self.draw.rng.u8(0..10) {
            0 => Some(Precondition::Absent),
            1 => Revision::from_wire(self.some_version(name)).map(Precondition::Version),
            _ => None,
        };
        Stated {
            name,
            tags: self.draw.tags(),
            lifetime,
            tier: self.draw.tier(self.shape.tiers),
            refresh_before,
            issued_at: self.draw.once_in(3).then(|| self.some_issue()),
            lease,
            precondition,
        }
    }

    /// The current time, or a time near the `issued_before` of a revocation.
    fn some_issue(&mut self) -> u64 {
        let ever = &self.reference.fences.ever;
        match self.draw.index(ever.len()) {
            Some(_) if self.draw.once_in(2) => self.clocks.wall,
            Some(index) => {
                // Prefer a late revocation.
                let index = index.max(self.draw.rng.usize(0..ever.len()));
                ever[index].issued_before - 1 + self.draw.rng.u64(0..3)
            }
            None => self.clocks.wall - self.draw.length(),
        }
    }

    /// The current version, or a random one.
    pub(in crate::steps) fn some_version(&mut self, name: Name) -> u64 {
        match self.reference.held.get(&name) {
            Some(held) if !self.draw.once_in(4) => held.version,
            _ => self.draw.rng.u64(1..=self.reference.revision + 1),
        }
    }

    /// The token of the name's lease, of an ended lease, of another name's lease, or one that was
    /// never granted.
    pub(in crate::steps) fn some_token(&mut self, name: Name) -> Token {
        let kind = self.draw.rng.u8(0..16);
        let lease = self.reference.leases.lease(name);
        if let (0..12, Some((current, _))) = (kind, lease) {
            return current.token;
        }
        let mut own = self.tokens.iter().filter(|(of, _)| *of == name);
        if let (0..14, Some((_, token))) = (kind, own.next_back()) {
            return *token;
        }
        match self.draw.index(self.tokens.len()) {
            Some(index) if kind == 14 => self.tokens[index].1,
            _ => self.draw.token(),
        }
    }
}
