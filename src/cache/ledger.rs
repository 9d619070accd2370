//! The order of changes: every Put and Invalidate is entered here, and gets its
//! revision by it.
//!
//! Entering is one step under the lock of the namespace's shard: a Put is held
//! against the fences that earlier invalidations left, or an invalidation
//! leaves its own; the change takes the next revision and goes into the
//! journal. So of a Put and an invalidation either comes first: a Put that
//! does has the lower revision and will be swept, one that doesn't meets the
//! fence.
//!
//! A change is published, and its watchers woken, once its effect is there and
//! that of every earlier one of its namespace.

mod fences;
mod journal;

use std::{hash::BuildHasher, task::Waker};

pub use journal::Change;

use super::{
    Limits,
    contents::Tags,
    invalidate::Target,
    name::{Key, Name, NamespaceName},
    remove::Budget,
    revision::{Revision, Revisions},
    sync::{HashState, Mutex, SHARDS},
    time::{BootTime, Now, WallTime},
    watch::WatchFrom,
};
use fences::Fences;
use journal::Journals;
pub(super) use journal::{Read, WatcherId};

pub(super) struct Ledger {
    shards: Box<[Mutex<Shard>]>,
    revisions: Revisions,
    hasher: HashState,
}

struct Shard {
    fences: Fences,
    journals: Journals,
    /// Changes that were entered and whose effect isn't there yet: one for each
    /// call that is at it. The number is the namespace's hash; where two
    /// namespaces share one, one waits for the other.
    in_flight: Vec<(u64, Revision)>,
}

/// What shows that a Put's credential was fetched after a revocation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    /// The latest revision when the lease was granted.
    pub(super) granted: Option<u64>,
    pub(super) issued_at: Option<WallTime>,
}

/// What an invalidation leaves behind: what is refused from now on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Revocation {
    /// Credentials issued at or before.
    pub(super) issued_before: WallTime,
    /// When no such credential can be live any more, and no lease that was
    /// granted before.
    pub(super) until: BootTime,
}

/// The Put's credential may be one that was revoked.
#[derive(Debug)]
pub(super) struct Revoked;

/// A change that has its revision. Dropping it says that its effect is there.
#[must_use]
pub(super) struct Entered<'a> {
    ledger: &'a Ledger,
    namespace: NamespaceName<'a>,
    /// Of the namespace.
    hash: u64,
    revision: Revision,
}

impl Ledger {
    pub(super) fn new(limits: &Limits) -> Self {
        let shard = || Shard {
            fences: Fences::new(limits.max_revocations as usize / SHARDS),
            journals: Journals::new(limits.max_journal / SHARDS as u64),
            in_flight: Vec::new(),
        };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            revisions: Revisions::default(),
            hasher: HashState::default(),
        }
    }

    /// Enters a Put, whose caller holds its stripe's lock.
    ///
    /// # Errors
    /// The evidence doesn't clear every fence that matches.
    pub(super) fn enter_put<'a>(
        &'a self,
        name: Name<'a>,
        tags: &Tags,
        evidence: Evidence,
    ) -> Result<Entered<'a>, Revoked> {
        let namespace = name.namespace;
        let hash = self.hash(namespace.as_str());
        let mut shard = self.shard(hash).lock();
        let tags = || tags.iter();
        if shard.fences.refuse(namespace, name.key, tags, evidence) {
            return Err(Revoked);
        }
        let revision = self.revisions.next();
        shard
            .journals
            .append(namespace, revision, || Change::replaced(name.key));
        shard.in_flight.push((hash, revision));
        Ok(Entered {
            ledger: self,
            namespace,
            hash,
            revision,
        })
    }

    /// Enters an invalidation. What matches and has a lower revision is still to
    /// be removed.
    pub(super) fn enter_invalidation<'a>(
        &'a self,
        namespace: NamespaceName<'a>,
        target: Target<'_>,
        revocation: Revocation,
    ) -> Entered<'a> {
        let hash = self.hash(namespace.as_str());
        let mut shard = self.shard(hash).lock();
        let revision = self.revisions.next();
        shard.fences.raise(namespace, target, revision, revocation);
        shard
            .journals
            .append(namespace, revision, || Change::invalidated(target));
        shard.in_flight.push((hash, revision));
        Entered {
            ledger: self,
            namespace,
            hash,
            revision,
        }
    }

    /// A revision for a change that changes nothing.
    pub(super) fn enter_nothing(&self) -> Revision {
        self.revisions.next()
    }

    /// Whether a Put to the key, under a lease granted at this revision, is
    /// already known to be refused.
    pub(super) fn refuses_lease(&self, name: Name<'_>, granted: u64) -> bool {
        let evidence = Evidence {
            granted: Some(granted),
            issued_at: None,
        };
        let shard = self.shard(self.hash(name.namespace.as_str())).lock();
        shard
            .fences
            .refuse(name.namespace, name.key, std::iter::empty, evidence)
    }

    /// The latest revision given out; 0 before the first.
    pub(super) fn latest(&self) -> u64 {
        self.revisions.latest()
    }

    /// Forgets fences that nothing can meet any more, and journals that nobody
    /// came back for. Goes on behind the first `shards`, which it counts; whether
    /// that was all.
    pub(super) fn forget(&self, shards: &mut usize, now: Now, budget: &mut Budget) -> bool {
        for shard in &self.shards[*shards..] {
            budget.find_place();
            let mut shard = shard.lock();
            shard.fences.forget(now.boot, budget);
            if budget.is_spent() {
                return false;
            }
            shard.journals.forget(now.boot);
            *shards += 1;
        }
        true
    }

    /// Begins to watch a namespace; answers with the position to read from,
    /// unless the caller's is none.
    pub(super) fn watch(
        &self,
        namespace: NamespaceName<'_>,
        from: WatchFrom,
    ) -> (WatcherId, Option<u64>) {
        let hash = self.hash(namespace.as_str());
        let mut shard = self.shard(hash).lock();
        let latest = self.revisions.latest();
        let published = shard.published(hash, latest);
        let watcher = shard.journals.watch(namespace, latest);
        let position = match from {
            WatchFrom::Now => Some(published),
            // What was never given out wasn't seen either.
            WatchFrom::After(revision) => (revision <= latest).then_some(revision),
            WatchFrom::Elsewhere => None,
        };
        (watcher, position)
    }

    /// What a watcher at this position is to be told next. If that is nothing,
    /// `waker` is woken when there may be more.
    pub(super) fn read(
        &self,
        namespace: &str,
        watcher: WatcherId,
        position: Option<u64>,
        waker: &Waker,
    ) -> Read {
        let hash = self.hash(namespace);
        let mut shard = self.shard(hash).lock();
        let published = shard.published(hash, self.revisions.latest());
        match position {
            Some(position) => {
                let unread = position..published;
                let in_flight = shard.in_flight(hash).count();
                shard
                    .journals
                    .read(namespace, watcher, unread, in_flight, waker)
            }
            None => Read::Gap { up_to: published },
        }
    }

    pub(super) fn unwatch(&self, namespace: &str, watcher: WatcherId) {
        let mut shard = self.shard(self.hash(namespace)).lock();
        shard.journals.unwatch(namespace, watcher);
    }

    fn hash(&self, namespace: &str) -> u64 {
        self.hasher.hash_one(namespace)
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 48) as usize % SHARDS]
    }
}

impl Shard {
    /// Up to which revision everything of the namespace is there.
    fn published(&self, namespace: u64, latest: u64) -> u64 {
        self.in_flight(namespace)
            .map(|revision| revision.number() - 1)
            .min()
            .unwrap_or(latest)
    }

    fn in_flight(&self, namespace: u64) -> impl Iterator<Item = Revision> {
        self.in_flight
            .iter()
            .filter(move |(of, _)| *of == namespace)
            .map(|(_, revision)| *revision)
    }
}

impl Entered<'_> {
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut shard = self.ledger.shard(self.hash).lock();
        let entered = (self.hash, self.revision);
        if let Some(place) = shard.in_flight.iter().position(|one| *one == entered) {
            shard.in_flight.swap_remove(place);
        }
        let wakers = shard.journals.take_wakers(self.namespace);
        drop(shard);
        for waker in wakers {
            waker.wake();
        }
    }
}

impl Change {
    fn replaced(key: Key<'_>) -> Self {
        Self::Replaced(key.as_str().into())
    }

    fn invalidated(target: Target<'_>) -> Self {
        match target {
            Target::Key { key, .. } => Self::Key(key.as_str().into()),
            Target::Prefix(prefix) => Self::Prefix(prefix.as_str().into()),
            Target::Tag(tag) => Self::Tag(tag.as_str().into()),
            Target::All => Self::All,
        }
    }
}
