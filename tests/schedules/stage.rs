//! What the actors act on: a cache, a clock that they move, and the record of
//! all calls.

mod judgement;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use credcache::cache::{
    Attributes, BootTime, Cache, Contents, Invalidate, Key, Lifetime, Limits, Lookup, Name,
    NamespaceName, Now, Precondition, Put, PutError, Revision, Tag, Tags, Target, TierSpec,
    WallTime, smallest_capacity,
};
use credcache_history as history;
use history::{Call, Operation, Room, Span};

pub(crate) use self::judgement::Seen;

/// A namespace and a key in it.
pub(crate) type At = (&'static str, &'static str);

/// Lifetimes in seconds, each in a tier of its own.
pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 3600;

/// Every credential's.
pub(crate) const TAG: &str = "tag";

const LIMITS: Limits = Limits {
    max_value: 64,
    max_namespaces: 2,
    ..Limits::DEFAULT
};

pub(crate) struct Stage {
    pub(crate) cache: Cache,
    room: Room,
    /// What the next Puts carry besides the value: what makes them heavy.
    ballast: String,
    /// The scheduler doesn't run these: they are no part of the core, and
    /// nothing is awaited under the lock.
    secs: AtomicU64,
    ticks: AtomicU64,
    record: Mutex<Vec<Operation>>,
}

impl Stage {
    /// A cache in which nothing is ever pushed out.
    pub(crate) fn roomy() -> Self {
        Self::new(Room::Ample, LIMITS)
    }

    /// One that has a record of a single namespace at a time.
    pub(crate) fn with_one_namespace() -> Self {
        let limits = Limits {
            max_namespaces: 1,
            ..LIMITS
        };
        Self::new(Room::Ample, limits)
    }

    /// A cache whose tiers hold a few dozen credentials: as large as they come.
    pub(crate) fn tight() -> Self {
        let mut stage = Self::new(Room::Tight, LIMITS);
        stage.ballast = "x".repeat(250);
        stage
    }

    fn new(room: Room, limits: Limits) -> Self {
        let tiers = [("minute", MINUTE), ("hour", HOUR)].map(|(name, secs)| TierSpec {
            name: name.into(),
            max_ttl: Duration::from_secs(secs),
            capacity: smallest_capacity(limits.max_value),
        });
        Self {
            cache: Cache::new(tiers.into(), limits).unwrap(),
            room,
            ballast: String::new(),
            secs: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            record: Mutex::default(),
        }
    }

    /// The same stage, after this.
    pub(crate) fn after<T>(self, acts: impl FnOnce(&Self) -> T) -> Self {
        acts(&self);
        self
    }

    /// Lets seconds pass.
    pub(crate) fn pass(&self, secs: u64) {
        self.secs.fetch_add(secs, Relaxed);
    }

    /// Looks a credential up; the version of a hit.
    pub(crate) fn get(&self, at: At) -> Option<u64> {
        self.look_up(named(at))
    }

    fn look_up(&self, name: history::Name) -> Option<u64> {
        self.recorded(|| {
            let sought = Name {
                namespace: NamespaceName::parse(&name.namespace).unwrap(),
                key: Key::parse(&name.key).unwrap(),
            };
            let hit = match self.cache.get(sought, Duration::ZERO, || self.now()) {
                Lookup::Hit(hit) => Some(history::Hit {
                    version: hit.version().number(),
                    value: hit.value().as_ref().to_vec(),
                    expires_at: nanos(hit.expires_at()),
                }),
                Lookup::Miss(_) => None,
            };
            let version = hit.as_ref().map(|hit| hit.version);
            (version, Some(Call::Get(history::Get { name, hit })))
        })
    }

    /// Stores a credential; its version.
    pub(crate) fn put(&self, at: At, secs: u64) -> Option<u64> {
        self.put_if(at, secs, None)
    }

    /// Stores one on a condition; its version, or `None` if it was refused.
    pub(crate) fn put_if(
        &self,
        at: At,
        secs: u64,
        precondition: Option<Precondition>,
    ) -> Option<u64> {
        self.recorded(|| {
            let value = format!("value {}", self.ticks.load(Relaxed)).into_bytes();
            let put = Put {
                name: name(at),
                contents: self.contents(&value),
                lifetime: Lifetime::For(Duration::from_secs(secs)),
                refresh_before: None,
                tier: None,
                issued_at: None,
                lease: None,
                precondition,
            };
            let outcome = match self.cache.put(put, self.now()) {
                Ok(stored) => Ok(history::Stored {
                    version: stored.version.number(),
                    expires_at: nanos(stored.expires_at),
                }),
                Err(PutError::Exists) => Err(history::Refusal::Exists),
                Err(PutError::VersionDiffers) => Err(history::Refusal::VersionDiffers),
                // Tells nothing of the key.
                Err(PutError::TooManyNamespaces) => return (None, None),
                Err(refusal) => panic!("{refusal}"),
            };
            let put = history::Put {
                name: named(at),
                value,
                tags: vec![TAG.into()],
                precondition: precondition.map(|precondition| match precondition {
                    Precondition::Absent => history::Precondition::Absent,
                    Precondition::Version(version) => {
                        history::Precondition::Version(version.number())
                    }
                }),
                outcome,
            };
            let version = outcome.ok().map(|stored| stored.version);
            (version, Some(Call::Put(put)))
        })
    }

    pub(crate) fn invalidate(&self, namespace: &'static str, target: Target<'static>) {
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
                revision: done.revision.number(),
            };
            ((), Some(Call::Invalidate(invalidate)))
        });
    }

    /// Takes back what has expired.
    pub(crate) fn reclaim(&self) {
        self.cache.reclaim(self.now());
    }

    /// Records a call, unless it tells nothing.
    fn recorded<T>(&self, call: impl FnOnce() -> (T, Option<Call>)) -> T {
        let tick = || self.ticks.fetch_add(1, Relaxed);
        let (invoked, wall_before) = (tick(), nanos(self.now().wall));
        let (answer, call) = call();
        let span = Span {
            invoked,
            answered: tick(),
            wall_before,
            wall_after: nanos(self.now().wall),
        };
        let operation = call.map(|call| Operation { span, call });
        self.record.lock().unwrap().extend(operation);
        answer
    }

    fn contents(&self, value: &[u8]) -> Contents {
        let names: Vec<String> = (0..16).map(|nth| nth.to_string()).collect();
        let ballast = names.iter().map(|name| (&**name, &*self.ballast));
        let attributes = match self.ballast.is_empty() {
            true => Attributes::default(),
            false => Attributes::new(ballast).unwrap(),
        };
        Contents {
            value: LIMITS.value(value).unwrap(),
            tags: Tags::new([Tag::parse(TAG).unwrap()]).unwrap(),
            attributes,
        }
    }

    fn now(&self) -> Now {
        let since = Duration::from_secs(self.secs.load(Relaxed));
        Now {
            wall: WallTime::from_unix(since),
            boot: BootTime::from_boot(since),
        }
    }
}

/// A version, as a condition.
pub(crate) fn version(number: u64) -> Revision {
    Revision::from_wire(number).unwrap()
}

fn name(at: At) -> Name<'static> {
    Name {
        namespace: NamespaceName::parse(at.0).unwrap(),
        key: Key::parse(at.1).unwrap(),
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
