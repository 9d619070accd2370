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
//! What the name holds is judged in that same step, where a Put or an
//! invalidation depends on it: an invalidation that comes before has happened,
//! whether or not it has reached the stripe by then.
//!
//! A change is published, and its watchers woken, once its effect is there and
//! that of every earlier one of its namespace.

use std::{borrow::Cow, hash::BuildHasher, task::Waker};

use crate::{
    change_log::{
        fences::Fences,
        journal::{Journals, WatchFrom, WatcherId},
    },
    model::{
        limits::Limits,
        name::{Name, NamespaceName},
        outcome::Invalidated,
        revision::{Revision, Revisions},
        tags::Tags,
        time::Now,
    },
    store::entry::Entry,
    sync::{HashState, Mutex, SHARDS},
    work::budget::Budget,
};
use crate::{
    change_log::{
        fences::{Evidence, Revocation},
        in_progress::InProgress,
        journal::{Change, JournalRead},
    },
    model::invalidation::OwnedTarget,
};

pub(crate) struct ChangeLog {
    shards: Box<[Mutex<Shard>]>,
    revisions: Revisions,
    hasher: HashState,
}

struct Shard {
    fences: Fences,
    journals: Journals,
    in_progress: InProgress,
    /// Changes that were entered and whose effect isn't there yet: one for each
    /// call that is at it. The number is the namespace's hash; where two
    /// namespaces share one, one waits for the other.
    in_flight: Vec<(u64, Revision)>,
}

/// The Put's credential may be one that was revoked.
#[derive(Debug)]
pub(crate) struct Revoked;

/// What a name holds, for a change that depends on it.
#[derive(Clone, Copy)]
pub(crate) struct CurrentEntry<'e> {
    entry: &'e Entry,
    /// Whether its lifetime lasts.
    is_live: bool,
}

/// A change that depends on what the name holds.
pub(crate) struct PutDecision<'a, E> {
    /// An invalidation under way covers what the name holds. That was taken for
    /// dead, and must be removed before the stripe is unlocked.
    pub(crate) is_claimed: bool,
    pub(crate) change: Result<PendingChange<'a>, E>,
}

/// A change that has its revision. Dropping it says that its effect is there.
#[must_use]
pub(crate) struct PendingChange<'a> {
    change_log: &'a ChangeLog,
    namespace: Cow<'a, str>,
    /// Of the namespace.
    hash: u64,
    revision: Revision,
    /// No other invalidation of the namespace was under way when it was entered:
    /// what it removes, none that comes before covers.
    is_only: bool,
    /// What an invalidation covers, until it is published.
    invalidates: Option<OwnedTarget>,
}

impl<'e> CurrentEntry<'e> {
    pub(crate) fn at(entry: &'e Entry, now: Now) -> Self {
        Self {
            entry,
            is_live: !entry.deadline().passed(now),
        }
    }
}

impl ChangeLog {
    pub(crate) fn new(limits: &Limits) -> Self {
        let shard = || Shard {
            fences: Fences::new(limits.max_revocations as usize / SHARDS),
            journals: Journals::new(limits.max_journal / SHARDS as u64),
            in_progress: InProgress::default(),
            in_flight: Vec::new(),
        };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            revisions: Revisions::default(),
            hasher: HashState::default(),
        }
    }

    /// Enters a Put, whose caller holds its stripe's lock, if `decide` agrees to
    /// replace what is live and states the evidence for the new credential.
    ///
    /// # Errors
    /// Those of `decide`, and [`Revoked`] if the evidence doesn't clear every
    /// fence that matches.
    pub(crate) fn commit_put<'a, E: From<Revoked>>(
        &'a self,
        name: Name<'a>,
        tags: &Tags,
        current: Option<CurrentEntry<'_>>,
        decide: impl FnOnce(Option<&Entry>) -> Result<Evidence, E>,
    ) -> PutDecision<'a, E> {
        let namespace = name.namespace;
        let hash = self.hash(namespace.as_str());
        let mut shard = self.shard(hash).lock();
        let is_claimed = current.is_some_and(|current| shard.claims(current));
        let live = current.filter(|current| current.is_live && !is_claimed);
        let change = decide(live.map(|live| live.entry)).and_then(|evidence| {
            let tags = || tags.iter();
            if shard.fences.refuse(namespace, name.key, tags, evidence) {
                return Err(Revoked.into());
            }
            let revision = self.revisions.next();
            shard.journals.append(namespace, revision, || {
                Change::Replaced(name.key.as_str().into())
            });
            shard.in_flight.push((hash, revision));
            Ok(PendingChange {
                change_log: self,
                namespace: namespace.as_str().into(),
                hash,
                revision,
                is_only: true,
                invalidates: None,
            })
        });
        PutDecision { is_claimed, change }
    }

    /// Enters an invalidation. What matches and has a lower revision is still to
    /// be removed.
    pub(crate) fn commit_invalidation<'a>(
        &'a self,
        namespace: NamespaceName<'_>,
        target: OwnedTarget,
        revocation: Revocation,
    ) -> PendingChange<'a> {
        let hash = self.hash(namespace.as_str());
        let mut shard = self.shard(hash).lock();
        self.invalidate(&mut shard, namespace, target, revocation)
    }

    /// Enters the invalidation of what a name holds, whose caller holds its
    /// stripe's lock. `None` if an invalidation under way covers it already: that
    /// comes before, and must be helped to remove it.
    pub(crate) fn commit_version_invalidation<'a>(
        &'a self,
        name: Name<'_>,
        current: CurrentEntry<'_>,
        revocation: Revocation,
    ) -> Option<PendingChange<'a>> {
        let hash = self.hash(name.namespace.as_str());
        let mut shard = self.shard(hash).lock();
        if shard.claims(current) {
            return None;
        }
        let target = OwnedTarget::Key(name.key.as_str().into());
        Some(self.invalidate(&mut shard, name.namespace, target, revocation))
    }

    fn invalidate<'a>(
        &'a self,
        shard: &mut Shard,
        namespace: NamespaceName<'_>,
        target: OwnedTarget,
        revocation: Revocation,
    ) -> PendingChange<'a> {
        let hash = self.hash(namespace.as_str());
        let revision = self.revisions.next();
        let is_only = shard
            .in_progress
            .begin(namespace.as_str(), &target, revision);
        shard
            .fences
            .raise(namespace, target.clone(), revision, revocation);
        shard
            .journals
            .append(namespace, revision, || Change::Invalidated(target.clone()));
        shard.in_flight.push((hash, revision));
        PendingChange {
            change_log: self,
            namespace: namespace.as_str().to_owned().into(),
            hash,
            revision,
            is_only,
            invalidates: Some(target),
        }
    }

    /// Whether an invalidation under way covers what a name holds, which must
    /// then be removed before the stripe is unlocked. If it is live, the first
    /// that does counts it.
    pub(crate) fn claims(&self, current: CurrentEntry<'_>) -> bool {
        let hash = self.hash(&current.entry.namespace().name);
        self.shard(hash).lock().claims(current)
    }

    /// A revision for a change that changes nothing.
    pub(crate) fn skip_revision(&self) -> Revision {
        self.revisions.next()
    }

    /// Whether a Put to the key, under a lease granted at this revision, is
    /// already known to be refused.
    pub(crate) fn refuses_lease(&self, name: Name<'_>, granted: u64) -> bool {
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
    pub(crate) fn latest(&self) -> u64 {
        self.revisions.latest()
    }

    /// Forgets fences that nothing can meet any more, and journals that nobody
    /// came back for. Goes on behind the first `shards`, which it counts; whether
    /// that was all.
    pub(crate) fn forget(&self, shards: &mut usize, now: Now, budget: &mut Budget) -> bool {
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
    pub(crate) fn watch(
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
    pub(crate) fn read(
        &self,
        namespace: &str,
        watcher: WatcherId,
        position: Option<u64>,
        waker: &Waker,
    ) -> JournalRead {
        let hash = self.hash(namespace);
        let mut shard = self.shard(hash).lock();
        let published = shard.published(hash, self.revisions.latest());
        match position {
            Some(position) => {
                let unread = position..published;
                let in_flight = shard.in_flight(hash).count();
                let read = shard
                    .journals
                    .read(namespace, watcher, unread, in_flight, waker);
                debug_assert!(
                    !shard.tells_too_early(hash, &read),
                    "published before an earlier change"
                );
                read
            }
            None => JournalRead::Gap { up_to: published },
        }
    }

    pub(crate) fn unwatch(&self, namespace: &str, watcher: WatcherId) {
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
    fn claims(&self, CurrentEntry { entry, is_live }: CurrentEntry<'_>) -> bool {
        self.in_progress.claims(entry, is_live)
    }

    /// Up to which revision everything of the namespace is there.
    fn published(&self, namespace: u64, latest: u64) -> u64 {
        self.in_flight(namespace)
            .map(|revision| revision.number() - 1)
            .min()
            .unwrap_or(latest)
    }

    /// Whether a watcher is told of a change while that one, or an earlier one of its
    /// namespace, hasn't taken effect.
    fn tells_too_early(&self, namespace: u64, read: &JournalRead) -> bool {
        let JournalRead::Change { revision, .. } = read else {
            return false;
        };
        self.in_flight(namespace)
            .any(|earlier| earlier.number() <= *revision)
    }

    fn in_flight(&self, namespace: u64) -> impl Iterator<Item = Revision> {
        self.in_flight
            .iter()
            .filter(move |(of, _)| *of == namespace)
            .map(|(_, revision)| *revision)
    }
}

impl PendingChange<'_> {
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// Counts what this invalidation removes, of which some may be covered by one
    /// that comes before and counts it. The stripe is locked.
    pub(crate) fn count(&self, removed: &[Entry], now: Now) -> u64 {
        let currents = removed.iter().map(|entry| CurrentEntry::at(entry, now));
        if self.is_only {
            return currents.filter(|current| current.is_live).count() as u64;
        }
        for current in currents {
            self.change_log.claims(current);
        }
        0
    }

    /// Publishes the change: its whole effect is there. Returns its revision, and
    /// how many live credentials others removed on behalf of this invalidation,
    /// which [`count`](Self::count) didn't return.
    pub(crate) fn publish(mut self) -> Invalidated {
        Invalidated {
            removed: self.leave(),
            revision: self.revision,
        }
    }

    fn leave(&mut self) -> u64 {
        let mut shard = self.change_log.shard(self.hash).lock();
        let entered = (self.hash, self.revision);
        let Some(place) = shard.in_flight.iter().position(|one| *one == entered) else {
            return 0;
        };
        shard.in_flight.swap_remove(place);
        let namespace = &*self.namespace;
        let removed = self.invalidates.take().map_or(0, |part| {
            shard.in_progress.end(namespace, &part, self.revision)
        });
        let wakers = shard.journals.take_wakers(namespace);
        drop(shard);
        for waker in wakers {
            waker.wake();
        }
        removed
    }
}

/// For a thread that panics between commit and publication: its watchers would
/// wait for ever.
impl Drop for PendingChange<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
