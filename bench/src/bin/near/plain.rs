//! What it is measured beside, used plainly: quick_cache, the yardstick, with no
//! lifetime and no revocation; and moka, which ends each entry at its own time.

use std::{
    hash::{Hash, Hasher},
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use credcache_bench::lookups::FIRST;
use quick_cache::Equivalent;

pub(crate) const NAMESPACE: &str = "bench";

pub(crate) struct Raw(quick_cache::sync::Cache<Name, Arc<Value>>);

pub(crate) struct Moka(moka::sync::Cache<Name, Arc<Value>>);

#[derive(PartialEq, Eq)]
struct Name(Box<str>, Box<str>);

struct Value(Box<[u8]>);

#[derive(Hash)]
struct Borrowed<'a>(&'a str, &'a str);

/// As long as the credentials live.
struct AnHour;

/// Names and values to fill a cache with.
fn stored(keys: &[String]) -> impl Iterator<Item = (Name, Arc<Value>)> {
    keys.iter().map(|key| {
        let name = Name(NAMESPACE.into(), key.as_str().into());
        (name, Arc::new(Value(vec![FIRST; 256].into())))
    })
}

impl Raw {
    /// All of `keys`, with room for as many again.
    pub(crate) fn filled(keys: &[String]) -> Self {
        let cache = quick_cache::sync::Cache::new(2 * keys.len());
        stored(keys).for_each(|(name, value)| cache.insert(name, value));
        Self(cache)
    }

    pub(crate) fn first_byte(&self, namespace: &str, key: &str) -> Option<u8> {
        let found = self.0.get(&Borrowed(namespace, key))?;
        found.0.first().copied()
    }
}

impl Moka {
    /// All of `keys`, with room for as many again.
    pub(crate) fn filled(keys: &[String]) -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(2 * keys.len() as u64)
            .expire_after(AnHour)
            .build();
        stored(keys).for_each(|(name, value)| cache.insert(name, value));
        cache.run_pending_tasks();
        Self(cache)
    }

    pub(crate) fn first_byte(&self, namespace: &str, key: &str) -> Option<u8> {
        let found = self.0.get(&Borrowed(namespace, key))?;
        found.0.first().copied()
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrowed(&self.0, &self.1).hash(state);
    }
}

impl Equivalent<Name> for Borrowed<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        *self.0 == *name.0 && *self.1 == *name.1
    }
}

impl moka::Expiry<Name, Arc<Value>> for AnHour {
    fn expire_after_create(&self, _: &Name, _: &Arc<Value>, _: Instant) -> Option<Duration> {
        Some(Duration::from_secs(3600))
    }
}

/// One reading of the clock that a hit is judged by.
pub(crate) fn clock() -> bool {
    black_box(rustix::time::clock_gettime(rustix::time::ClockId::Boottime)).tv_sec >= 0
}
