//! The stage of a scenario: a cache, a clock that the actors advance, and the record of all calls.

mod judgement;
mod leases;
mod puts;
mod watching;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use credcache_core::{
    BootTime, Cache, Hit, Invalidate, Key, Limits, Name, NamespaceName, Now, Revision, Target,
    TierSpec, WallTime, Watcher, smallest_capacity,
};
use credcache_history as history;
use history::{Call, Operation, Room, Span};

use self::watching::Followed;

pub(crate) use self::{
    judgement::Seen,
    leases::{LEASE, token},
    watching::revision,
};

/// A namespace and a key in it.
pub(crate) type At = (&'static str, &'static str);

/// Lifetimes in seconds, each with a tier of its own.
pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 3600;

/// The tag of every credential.
pub(crate) const TAG: &str = "tag";

const LIMITS: Limits = Limits {
    max_value: 64,
    max_namespaces: 2,
    lease_ttl: Duration::from_secs(LEASE),
    ..Limits::DEFAULT
};

pub(crate) struct Stage {
    pub(crate) cache: Arc<Cache>,
    room: Room,
    /// Attribute text that the next Puts carry to make their entries heavy.
    ballast: String,
    /// These aren't under the scheduler's control: they don't belong to the core, and no thread
    /// waits while it holds one of the locks.
    secs: AtomicU64,
    ticks: AtomicU64,
    record: Mutex<Vec<Operation>>,
    watchers: Mutex<Vec<Watcher>>,
    followed: Mutex<Vec<Followed>>,
}

impl Stage {
    /// A cache that never evicts anything.
    pub(crate) fn roomy() -> Self {
        Self::new(Room::Ample, LIMITS)
    }

    /// A cache with room for a single namespace record.
    pub(crate) fn with_one_namespace() -> Self {
        let limits = Limits {
            max_namespaces: 1,
            ..LIMITS
        };
        Self::new(Room::Ample, limits)
    }

    /// A cache whose tiers hold a few dozen credentials of the greatest size.
    pub(crate) fn tight() -> Self {
        let mut stage = Self::new(Room::Tight, LIMITS);
        stage.ballast = "x".repeat(250);
        stage
    }

    /// A cache that remembers a single invalidation and coarsens its fence with each further
    /// invalidation. It may refuse more than necessary, so a miss needs no reason.
    pub(crate) fn forgetful() -> Self {
        let limits = Limits {
            max_revocations: 1,
            ..LIMITS
        };
        Self::new(Room::Tight, limits)
    }

    /// A cache that remembers this many bytes of changes.
    pub(crate) fn with_journal_of(bytes: u64) -> Self {
        let limits = Limits {
            max_journal: bytes,
            ..LIMITS
        };
        Self::new(Room::Ample, limits)
    }

    fn new(room: Room, limits: Limits) -> Self {
        let tiers = [("minute", MINUTE), ("hour", HOUR)].map(|(name, secs)| TierSpec {
            name: name.into(),
            max_ttl: Duration::from_secs(secs),
            capacity: smallest_capacity(limits.max_value),
        });
        Self {
            cache: Arc::new(Cache::new(tiers.into(), limits).unwrap()),
            room,
            ballast: String::new(),
            secs: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            record: Mutex::default(),
            watchers: Mutex::default(),
            followed: Mutex::default(),
        }
    }

    /// Acts on the stage, and returns it.
    pub(crate) fn after<T>(self, acts: impl FnOnce(&Self) -> T) -> Self {
        acts(&self);
        self
    }

    /// Advances both clocks by some seconds.
    pub(crate) fn pass(&self, secs: u64) {
        self.secs.fetch_add(secs, Relaxed);
    }

    /// Looks up a credential. Returns the version of a hit.
    pub(crate) fn get(&self, at: At) -> Option<u64> {
        self.look_up(named(at))
    }

    fn look_up(&self, name: history::Name) -> Option<u64> {
        self.recorded(|| {
            let sought = Name {
                namespace: NamespaceName::parse(&name.namespace).unwrap(),
                key: Key::parse(&name.key).unwrap(),
            };
            let found = self.cache.get(sought, Duration::ZERO, || self.now());
            let hit = found.hit().as_ref().map(recorded_hit);
            let version = hit.as_ref().map(|hit| hit.version);
            let lease = None;
            let get = history::Get {
                name,
                min_ttl: 0,
                hit,
                lease,
            };
            (version, Some(Call::Get(get)))
        })
    }

    pub(crate) fn invalidate(&self, namespace: &'static str, target: Target<'static>) -> u64 {
        self.recorded(|| {
            let asked = Invalidate {
                namespace: NamespaceName::parse(namespace).unwrap(),
                target,
                issued_before: None,
            };
            let done = self.cache.invalidate(asked, self.now());
            let invalidate = history::Invalidate {
                namespace: namespace.into(),
                target: match target {
                    Target::Key {
                        key,
                        if_version: None,
                    } => history::Target::Key(key.as_str().into()),
                    Target::Key {
                        key,
                        if_version: Some(version),
                    } => history::Target::KeyVersion(key.as_str().into(), version.number()),
                    Target::Prefix(prefix) => history::Target::Prefix(prefix.as_str().into()),
                    Target::Tag(tag) => history::Target::Tag(tag.as_str().into()),
                    Target::All => history::Target::All,
                },
                issued_before: None,
                removed: done.removed,
                revision: done.revision.number(),
            };
            (done.revision.number(), Some(Call::Invalidate(invalidate)))
        })
    }

    /// Reclaims expired entries.
    pub(crate) fn reclaim(&self) {
        self.cache.reclaim(self.now());
    }

    /// Records a call, if it is to be recorded.
    fn recorded<T>(&self, call: impl FnOnce() -> (T, Option<Call>)) -> T {
        let (invoked, wall_before) = (self.tick(), nanos(self.now().wall));
        let (answer, call) = call();
        let span = Span {
            invoked,
            answered: self.tick(),
            wall_before,
            wall_after: nanos(self.now().wall),
        };
        let operation = call.map(|call| Operation { span, call });
        self.record.lock().unwrap().extend(operation);
        answer
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Relaxed)
    }

    fn now(&self) -> Now {
        let since = Duration::from_secs(self.secs.load(Relaxed));
        Now {
            wall: WallTime::from_unix(since),
            boot: BootTime::from_boot(since),
        }
    }
}

/// A version to use in a condition.
pub(crate) fn version(number: u64) -> Revision {
    Revision::from_wire(number).unwrap()
}

fn name(at: At) -> Name<'static> {
    Name {
        namespace: NamespaceName::parse(at.0).unwrap(),
        key: Key::parse(at.1).unwrap(),
    }
}

fn recorded_hit(hit: &Hit) -> history::Hit {
    history::Hit {
        version: hit.version().number(),
        value: hit.value().as_ref().to_vec(),
        expires_at: nanos(hit.expires_at()),
    }
}

fn named(at: At) -> history::Name {
    history::Name {
        namespace: at.0.into(),
        key: at.1.into(),
    }
}

fn nanos(at: WallTime) -> u64 {
    u64::try_from(at.since_unix().as_nanos()).unwrap()
}
