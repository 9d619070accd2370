//! The caches, each as one would use it straightforwardly, holding the same:
//! values of 256 bytes under keys of 40, in four lifetimes.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant},
};

use credcache_bench::lookups::FIRST;
use credcache_core::{
    Attributes, BootTime, Cache, Contents, ENTRY_OVERHEAD, Key, Lifetime, Limits, Lookup, Name,
    NamespaceName, Now, Put, TAG_OVERHEAD, Tag, Tags, TierSpec, WallTime, smallest_capacity,
};
use quick_cache::Equivalent;

use crate::keys::{self, KEY};

pub(crate) const VALUE: usize = 256;
const TIERS: u32 = 4;
const NAMESPACE: &str = "team-a";
const TAG: &str = "account/123456789012";

/// A cache that is looked up in.
pub(crate) trait Contestant: Send + Sync {
    /// The first byte of the key's value: a lookup is for reading it.
    fn first_byte(&self, key: &str) -> Option<u8>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// quick_cache alone, without lifetimes
    #[value(name = "quick_cache")]
    Raw,
    /// The core of credcache
    Core,
    /// moka, with a lifetime for each entry
    Moka,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Raw, Self::Core, Self::Moka];

    /// With so many entries, numbered from 0 on.
    pub(crate) fn filled(self, entries: u32) -> Box<dyn Contestant> {
        match self {
            Self::Raw => Box::new(raw(entries)),
            Self::Core => Box::new(core(entries)),
            Self::Moka => Box::new(moka(entries)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "quick_cache",
            Self::Core => "core",
            Self::Moka => "moka",
        })
    }
}

fn lifetime(number: u32) -> Duration {
    Duration::from_secs([60, 900, 3600, 43_200][(number % TIERS) as usize])
}

type Raw = quick_cache::sync::Cache<(u32, Box<[u8]>), Arc<[u8]>>;

#[derive(PartialEq, Eq, Hash)]
struct RawKey<'a>(u32, &'a [u8]);

impl Equivalent<(u32, Box<[u8]>)> for RawKey<'_> {
    fn equivalent(&self, key: &(u32, Box<[u8]>)) -> bool {
        self.0 == key.0 && *self.1 == *key.1
    }
}

fn raw(entries: u32) -> Raw {
    // Shards fill unevenly.
    let cache = Raw::new(entries as usize + entries as usize / 4 + 1_000);
    let mut key = keys::Key::new();
    for number in 0..entries {
        let key = key.numbered(number).as_bytes().into();
        cache.insert((7, key), Arc::from([FIRST; VALUE]));
    }
    cache
}

impl Contestant for Raw {
    fn first_byte(&self, key: &str) -> Option<u8> {
        self.get(&RawKey(7, key.as_bytes())).map(|value| value[0])
    }
}

/// The clocks are given: quick_cache reads none.
pub(crate) struct Core {
    cache: Cache,
    namespace: NamespaceName<'static>,
    now: Now,
}

#[expect(clippy::expect_used, reason = "constants that are within every limit")]
pub(crate) fn core(entries: u32) -> Core {
    let weight = ENTRY_OVERHEAD + KEY + VALUE + TAG_OVERHEAD;
    let tier = u64::from(entries / TIERS + 1) * weight as u64;
    let capacity = tier + tier / 8 + smallest_capacity(Limits::DEFAULT.max_value);
    let tiers = (0..TIERS).map(|number| TierSpec {
        name: number.to_string(),
        max_ttl: lifetime(number),
        capacity,
    });
    let cache = Cache::new(tiers.collect(), Limits::DEFAULT).expect("valid tiers");
    let core = Core {
        cache,
        namespace: NamespaceName::parse(NAMESPACE).expect("a namespace"),
        now: Now {
            wall: WallTime::from_unix(Duration::from_secs(1_700_000_000)),
            boot: BootTime::from_boot(Duration::from_secs(1_000)),
        },
    };
    let tag = Tag::parse(TAG).expect("a tag");
    let mut key = keys::Key::new();
    for number in 0..entries {
        let put = Put {
            name: Name {
                namespace: core.namespace,
                key: Key::parse(key.numbered(number)).expect("a key"),
            },
            contents: Contents {
                value: Limits::DEFAULT.value(&[FIRST; VALUE]).expect("small"),
                tags: Tags::new([tag]).expect("one"),
                attributes: Attributes::default(),
            },
            lifetime: Lifetime::For(lifetime(number)),
            refresh_before: None,
            tier: None,
            issued_at: None,
            lease: None,
            precondition: None,
        };
        core.cache.put(put, core.now).expect("room");
    }
    core
}

impl Contestant for Core {
    fn first_byte(&self, key: &str) -> Option<u8> {
        let name = Name {
            namespace: self.namespace,
            key: Key::parse(key).ok()?,
        };
        match self.cache.get(name, Duration::ZERO, || self.now) {
            Lookup::Hit(hit) => hit.view().value().first().copied(),
            Lookup::Miss(_) => None,
        }
    }
}

type Moka = moka::sync::Cache<(u32, Box<[u8]>), (Duration, Arc<[u8]>)>;

struct MokaKey<'a>(u32, &'a [u8]);

impl Hash for MokaKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl Equivalent<(u32, Box<[u8]>)> for MokaKey<'_> {
    fn equivalent(&self, key: &(u32, Box<[u8]>)) -> bool {
        self.0 == key.0 && *self.1 == *key.1
    }
}

struct OfEach;

impl<K> moka::Expiry<K, (Duration, Arc<[u8]>)> for OfEach {
    fn expire_after_create(
        &self,
        _: &K,
        (lifetime, _): &(Duration, Arc<[u8]>),
        _: Instant,
    ) -> Option<Duration> {
        Some(*lifetime)
    }
}

fn moka(entries: u32) -> Moka {
    let cache = Moka::builder()
        .max_capacity(u64::from(entries) * 2 + 1_000)
        .expire_after(OfEach)
        .build();
    let mut key = keys::Key::new();
    for number in 0..entries {
        let key = key.numbered(number).as_bytes().into();
        // Twice as long as ours: it reads the clock, and must not end meanwhile.
        let value = (
            lifetime(number) + Duration::from_secs(3600),
            Arc::from([FIRST; VALUE]),
        );
        cache.insert((7, key), value);
    }
    cache.run_pending_tasks();
    cache
}

impl Contestant for Moka {
    fn first_byte(&self, key: &str) -> Option<u8> {
        self.get(&MokaKey(7, key.as_bytes()))
            .map(|(_, value)| value[0])
    }
}
