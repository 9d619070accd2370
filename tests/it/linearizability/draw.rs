//! What a caller does next, drawn at random.

use std::{collections::HashMap, time::Duration};

use credcache_client::Lease;
use credcache_history::{Name, Precondition, Target};
use fastrand::Rng;

/// Names that are equal when concatenated with some of the keys.
const NAMESPACES: [&str; 3] = ["a", "ab", "a.b"];
const KEYS: [&str; 5] = ["b/c", "c", "/c", "b", "bb"];
const PREFIXES: [&str; 3] = ["b", "b/", "/"];
const TAGS: [&str; 3] = ["t", "tt", "b"];

const SECOND: Duration = Duration::from_secs(1);

/// A call to be made.
pub(super) enum Wish {
    /// A Get. The flag says whether it requests the lease.
    Get(Name, bool),
    Put(PutWish),
    /// An Invalidate, with the least age of the credentials that it covers.
    Invalidate(String, Target, Option<Duration>),
    Extend(Name, Lease),
    Abandon(Name, Lease),
}

#[derive(Clone)]
pub(super) struct PutWish {
    pub(super) name: Name,
    pub(super) value: Vec<u8>,
    pub(super) tags: Vec<String>,
    pub(super) ttl: Duration,
    pub(super) lease: Option<Lease>,
    /// How long ago the credential was issued.
    pub(super) age: Option<Duration>,
    pub(super) precondition: Option<Precondition>,
}

pub(super) struct Draw {
    caller: u64,
    puts: u64,
    rng: Rng,
    /// The last version of each name that this caller has seen.
    met: HashMap<Name, u64>,
    /// The leases that the caller was granted and hasn't used.
    held: Vec<(Name, Lease)>,
    /// The last fill that was stored, to be repeated.
    filled: Option<PutWish>,
}

impl Draw {
    pub(super) fn new(caller: u64, seed: u64) -> Self {
        Self {
            caller,
            puts: 0,
            rng: Rng::with_seed(seed),
            met: HashMap::new(),
            held: Vec::new(),
            filled: None,
        }
    }

    /// Remembers a version for later preconditions.
    pub(super) fn met(&mut self, name: Name, version: u64) {
        self.met.insert(name, version);
    }

    /// Remembers a lease for later use.
    pub(super) fn granted(&mut self, name: Name, lease: Lease) {
        self.held.push((name, lease));
    }

    /// Remembers a fill, to repeat it as if its answer had been lost.
    pub(super) fn stored(&mut self, wish: &PutWish) {
        if wish.lease.is_some() {
            self.filled = Some(wish.clone());
        }
    }

    pub(super) fn wish(&mut self) -> Wish {
        if self.rng.u8(0..20) == 0
            && let Some(filled) = self.filled.take()
        {
            return Wish::Put(filled);
        }
        if !self.held.is_empty() && self.rng.u8(0..6) == 0 {
            return self.use_of_lease();
        }
        let name = Name {
            namespace: self.one_of(&NAMESPACES),
            key: self.one_of(&KEYS),
        };
        match self.rng.u8(0..100) {
            0..40 => Wish::Get(name, false),
            40..55 => Wish::Get(name, true),
            55..90 => {
                let mut put = self.put(name);
                put.age = (self.rng.u8(0..4) == 0).then(|| self.age());
                Wish::Put(put)
            }
            _ => {
                let namespace = name.namespace.clone();
                let age = (self.rng.u8(0..3) == 0).then(|| self.age());
                Wish::Invalidate(namespace, self.target(name), age)
            }
        }
    }

    fn use_of_lease(&mut self) -> Wish {
        let nth = self.rng.usize(0..self.held.len());
        if self.rng.u8(0..3) == 0 {
            let (name, lease) = self.held[nth].clone();
            return Wish::Extend(name, lease);
        }
        let (name, lease) = self.held.swap_remove(nth);
        if self.rng.u8(0..5) == 0 {
            return Wish::Abandon(name, lease);
        }
        let mut put = self.put(name);
        put.precondition = None;
        put.lease = Some(lease);
        Wish::Put(put)
    }

    fn age(&mut self) -> Duration {
        SECOND / 10 * self.rng.u32(0..15)
    }

    fn put(&mut self, name: Name) -> PutWish {
        self.puts += 1;
        // The separator is in none of the names and numbers.
        let value = format!(
            "{}|{}|{}.{}",
            name.namespace, name.key, self.caller, self.puts
        );
        let tags = TAGS.iter().filter(|_| self.rng.u8(0..3) == 0);
        let tags = tags.map(|tag| (*tag).into()).collect();
        let ttl = match self.rng.u8(0..6) {
            0 | 1 => SECOND,
            2 => SECOND * 5,
            3 | 4 => SECOND * 60,
            _ => SECOND * 600,
        };
        let precondition = match self.rng.u8(0..6) {
            0 => Some(Precondition::Absent),
            1 | 2 => self.met.get(&name).copied().map(Precondition::Version),
            _ => None,
        };
        PutWish {
            name,
            value: value.into(),
            tags,
            ttl,
            lease: None,
            age: None,
            precondition,
        }
    }

    fn target(&mut self, name: Name) -> Target {
        let met = self.met.get(&name).copied();
        match self.rng.u8(0..12) {
            0..4 => Target::Key(name.key),
            4..8 => Target::KeyVersion(name.key, met.unwrap_or(1)),
            8 => Target::Prefix(self.one_of(&PREFIXES)),
            9 | 10 => Target::Tag(self.one_of(&TAGS)),
            _ => Target::All,
        }
    }

    fn one_of(&mut self, texts: &[&str]) -> String {
        texts[self.rng.usize(0..texts.len())].into()
    }
}
