//! The record of the calls.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use credcache::clock::Clock;
use credcache_history::{Call, Operation, Precondition, Refusal, Span, Target};

/// The clocks that all callers share.
pub(super) struct Recorder {
    /// Counts instants: finer than any clock, and never twice the same.
    instants: AtomicU64,
    wall: Arc<Clock>,
}

impl Recorder {
    pub(super) fn new(wall: Arc<Clock>) -> Self {
        Self {
            instants: AtomicU64::new(0),
            wall,
        }
    }

    /// Records the span until the answer.
    pub(super) async fn timed<T>(&self, answer: impl Future<Output = T>) -> (Span, T) {
        let wall_before = self.wall();
        let invoked = self.instants.fetch_add(1, SeqCst);
        let answer = answer.await;
        let span = Span {
            invoked,
            answered: self.instants.fetch_add(1, SeqCst),
            wall_before,
            wall_after: self.wall(),
        };
        (span, answer)
    }

    /// The time `age` ago, by the server's wall clock.
    pub(super) fn ago(&self, age: Duration) -> SystemTime {
        UNIX_EPOCH + self.wall.now().wall.since_unix() - age
    }

    fn wall(&self) -> u64 {
        u64::try_from(self.wall.now().wall.since_unix().as_nanos()).unwrap()
    }
}

pub(super) fn nanos(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// The events that must happen often enough for a history to prove something.
pub(super) const KINDS: [&str; 21] = [
    "hit",
    "miss",
    "put",
    "put as the first",
    "put in place of a version",
    "refused by a live key",
    "refused by another version",
    "refused by a lost lease",
    "refused as revoked",
    "get with lease",
    "fill",
    "put of a known issue",
    "extend",
    "refused an extension",
    "abandon",
    "invalidate key",
    "invalidate version",
    "invalidate prefix",
    "invalidate tag",
    "invalidate all",
    "hit by another caller while it was put",
];

pub(super) fn tally(history: &[Operation]) -> BTreeMap<&'static str, usize> {
    let mut tally = BTreeMap::new();
    for operation in history {
        *tally.entry(kind(&operation.call)).or_default() += 1;
    }
    tally.insert("hit by another caller while it was put", overlaps(history));
    tally
}

fn kind(call: &Call) -> &'static str {
    match call {
        Call::Get(get) if get.lease.is_some() => "get with lease",
        Call::Get(get) if get.hit.is_some() => "hit",
        Call::Get(_) => "miss",
        Call::Put(put) => match (put.outcome, put.precondition) {
            (Ok(_), None) if put.lease.is_some() => "fill",
            (Ok(_), None) if put.issued_at.is_some() => "put of a known issue",
            (Ok(_), None) => "put",
            (Ok(_), Some(Precondition::Absent)) => "put as the first",
            (Ok(_), Some(Precondition::Version(_))) => "put in place of a version",
            (Err(Refusal::Exists), _) => "refused by a live key",
            (Err(Refusal::VersionDiffers), _) => "refused by another version",
            (Err(Refusal::LeaseLost), _) => "refused by a lost lease",
            (Err(Refusal::Revoked), _) => "refused as revoked",
        },
        Call::Invalidate(invalidate) => match invalidate.target {
            Target::Key(_) => "invalidate key",
            Target::KeyVersion(..) => "invalidate version",
            Target::Prefix(_) => "invalidate prefix",
            Target::Tag(_) => "invalidate tag",
            Target::All => "invalidate all",
        },
        Call::Extend(extend) if extend.left.is_some() => "extend",
        Call::Extend(_) => "refused an extension",
        Call::Abandon(_) => "abandon",
    }
}

/// The number of Gets that began before the Put of their hit was answered.
fn overlaps(history: &[Operation]) -> usize {
    let mut answered = BTreeMap::new();
    for operation in history {
        if let Call::Put(put) = &operation.call
            && let Ok(stored) = put.outcome
        {
            answered.insert(stored.version, operation.span.answered);
        }
    }
    let overlapping = |operation: &&Operation| match &operation.call {
        Call::Get(get) => get.hit.as_ref().is_some_and(|hit| {
            let answered = answered.get(&hit.version);
            answered.is_some_and(|answered| *answered > operation.span.invoked)
        }),
        Call::Put(_) | Call::Invalidate(_) | Call::Extend(_) | Call::Abandon(_) => false,
    };
    history.iter().filter(overlapping).count()
}
