//! The issuer of the credentials, which knows when each was revoked.

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use credcache_client::{Credential, Secret, Target};

/// The namespaces, which are written to in turn: after a revocation, a namespace rests for longer
/// than the bound, so that an error remains visible.
pub(crate) const NAMESPACES: [&str; 4] = ["north", "east", "south", "west"];
/// The number of keys that the writer puts in each namespace.
pub(crate) const PUT: usize = 40;
/// The number of all keys that are fetched, including those.
pub(crate) const KEYS: usize = 50;
const GROUPS: [&str; 4] = ["a", "b", "c", "d"];
pub(crate) const TAGS: [&str; 4] = ["red", "green", "blue", "black"];
/// More than any number of rounds issues.
const MOST: usize = 4_000_000;

/// The position of a credential: a namespace and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) namespace: usize,
    pub(crate) key: usize,
}

impl Place {
    pub(crate) fn namespace(self) -> &'static str {
        NAMESPACES[self.namespace]
    }

    pub(crate) fn key(self) -> &'static str {
        static KEYS_OF_ALL: OnceLock<Vec<String>> = OnceLock::new();
        let name = |key| format!("{}/{key}", GROUPS[key % GROUPS.len()]);
        &KEYS_OF_ALL.get_or_init(|| (0..KEYS).map(name).collect())[self.key]
    }

    pub(crate) fn prefix(self) -> &'static str {
        &self.key()[..2]
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..NAMESPACES.len())
            .flat_map(|namespace| (0..KEYS).map(move |key| Self { namespace, key }))
    }

    pub(crate) fn index(self) -> usize {
        self.namespace * KEYS + self.key
    }
}

/// The time since the first reading.
#[allow(
    clippy::disallowed_methods,
    reason = "a test's own stopwatch, unlike the clock of what it tests"
)]
pub(crate) fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

pub(crate) struct Issuer {
    issued: Mutex<Issued>,
    /// By number: the nanosecond in which the credential's revocation was answered, or 0 if it
    /// isn't revoked.
    revoked: Box<[AtomicU64]>,
}

struct Issued {
    next: u64,
    /// By position: the credentials that aren't revoked.
    good: Vec<Vec<u64>>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        now();
        Self {
            issued: Mutex::new(Issued {
                next: 1,
                good: vec![Vec::new(); NAMESPACES.len() * KEYS],
            }),
            revoked: (0..MOST).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Issues a credential, and returns the tag to put it with.
    pub(crate) fn issue(&self, place: Place) -> (Secret, &'static str) {
        let mut issued = self.issued.lock().unwrap();
        let number = issued.next;
        issued.next += 1;
        issued.good[place.index()].push(number);
        (Secret::new(number.to_le_bytes()), tag(number))
    }

    /// The last issued number. To be called before a revocation is sent, which then covers the
    /// numbers up to it.
    pub(crate) fn last_issued(&self) -> u64 {
        self.issued.lock().unwrap().next - 1
    }

    /// Records that a revocation of the numbers up to `last` was answered.
    pub(crate) fn revoked(&self, namespace: usize, target: &Target, last: u64) {
        let answered = nanos(now()).max(1);
        let mut issued = self.issued.lock().unwrap();
        for place in Place::all().filter(|place| place.namespace == namespace) {
            issued.good[place.index()].retain(|number| {
                let matches = match target {
                    Target::Key(key) | Target::KeyVersion(key, _) => key == place.key(),
                    Target::KeyPrefix(prefix) => place.key().starts_with(prefix),
                    Target::Tag(of) => of == tag(*number),
                    Target::All => true,
                    other => panic!("the test revokes nothing by {other:?}"),
                };
                let voids = matches && *number <= last;
                if voids {
                    self.of(*number).store(answered, Ordering::SeqCst);
                }
                !voids
            });
        }
    }

    /// When the revocation of a credential was answered, if it is revoked.
    pub(crate) fn revoked_at(&self, number: u64) -> Option<Duration> {
        let at = self.of(number).load(Ordering::SeqCst);
        (at != 0).then_some(Duration::from_nanos(at))
    }

    /// How much later than the bound allows a credential was requested and returned.
    pub(crate) fn excess(&self, number: u64, begun: Duration) -> Duration {
        let revoked = self.revoked_at(number);
        revoked.map_or(Duration::ZERO, |at| begun.saturating_sub(at + crate::BOUND))
    }

    fn of(&self, number: u64) -> &AtomicU64 {
        &self.revoked[usize::try_from(number).unwrap()]
    }
}

/// The number of a credential.
pub(crate) fn number(credential: &Credential) -> u64 {
    u64::from_le_bytes(credential.value.expose().try_into().unwrap())
}

fn tag(number: u64) -> &'static str {
    TAGS[number as usize % TAGS.len()]
}

fn nanos(since: Duration) -> u64 {
    since.as_nanos().try_into().unwrap()
}
