//! The change log: every Put and invalidation is committed here, and gets its revision.
//!
//! A commit is one step under the lock of the namespace's shard. In this step, a Put is checked
//! against the fences of earlier invalidations, or an invalidation adds its own fence; the change
//! takes the next revision and is appended to the journal. So a Put and an invalidation have a
//! definite order. If the Put is first, it has the lower revision, and the invalidation removes it.
//! If the invalidation is first, the Put meets its fence.
//!
//! A precondition on the current entry is judged in the same step. An invalidation that was
//! committed earlier has happened, whether or not it has reached the stripe by then.
//!
//! A change is published, and the watchers are woken, once its own effect and the effects of all
//! earlier changes to its namespace are complete.

use std::{borrow::Cow, hash::BuildHasher, sync::atomic::Ordering::SeqCst, task::Waker};

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
    sync::{AtomicU64, HashState, Mutex, SHARDS},
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
    /// How many invalidations were committed.
    invalidations: AtomicU64,
    hasher: HashState,
}

struct Shard {
    fences: Fences,
    journals: Journals,
    in_progress: InProgress,
    /// Committed changes that aren't published yet, at most one per concurrent call. The number is
    /// the hash of the namespace. If two namespaces have the same hash, their changes wait for each
    /// other.
    in_flight: Vec<(u64, Revision)>,
}

/// The credential of the Put may have been revoked.
#[derive(Debug)]
pub(crate) struct Revoked;

/// The entry that a name holds, for a change that depends on it.
#[derive(Clone, Copy)]
pub(crate) struct CurrentEntry<'e> {
    entry: &'e Entry,
    /// Whether its deadline hasn't passed.
    is_live: bool,
}

/// The outcome of [`ChangeLog::commit_put`].
pub(crate) struct PutDecision<'a, E> {
    /// An invalidation in progress covers the current entry. The entry was treated as removed, and
    /// the caller must remove it before it unlocks the stripe.
    pub(crate) is_claimed: bool,
    pub(crate) change: Result<PendingChange<'a>, E>,
}

/// A committed change, whose effect isn't complete. Dropping it publishes the change.
#[must_use]
pub(crate) struct PendingChange<'a> {
    change_log: &'a ChangeLog,
    namespace: Cow<'a, str>,
    /// The hash of the namespace.
    hash: u64,
    revision: Revision,
    /// No other invalidation of the namespace was in progress at the commit, so no earlier
    /// invalidation covers the entries that this one removes.
    is_only: bool,
    /// The target of an invalidation, until the change is published.
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
            invalidations: AtomicU64::new(0),
            hasher: HashState::default(),
        }
    }

    /// Commits a Put if `decide` accepts the live entry and returns the evidence for the new
    /// credential. The caller holds the stripe's lock.
    ///
    /// # Errors
    /// The errors of `decide`, and [`Revoked`] if the evidence doesn't pass every matching fence.
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

    /// Commits an invalidation. The caller must then remove all matching entries with a lower
    /// revision.
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

    /// Commits the invalidation of exactly the entry that a name holds. The caller holds the
    /// stripe's lock. Returns `None` if an invalidation in progress covers the entry already: that
    /// invalidation comes first, and the caller must remove the entry on its behalf.
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
        self.invalidations.fetch_add(1, SeqCst);
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

    /// Whether an invalidation in progress covers the entry, which the caller must then remove
    /// before it unlocks the stripe. A live entry is counted by the first such invalidation.
    pub(crate) fn claims(&self, current: CurrentEntry<'_>) -> bool {
        let hash = self.hash(&current.entry.namespace().name);
        self.shard(hash).lock().claims(current)
    }

    /// Takes a revision for an operation that changed nothing.
    pub(crate) fn skip_revision(&self) -> Revision {
        self.revisions.next()
    }

    /// Whether a Put to this key under a lease granted at this revision is certain to be refused.
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

    /// How many invalidations have taken their revision.
    pub(crate) fn invalidations(&self) -> u64 {
        self.invalidations.load(SeqCst)
    }

    /// The latest revision assigned; 0 before the first.
    pub(crate) fn latest(&self) -> u64 {
        self.revisions.latest()
    }

    /// Forgets fences that can't refuse anything any more, and journals that no watcher returned
    /// to. Continues after the first `shards` shards, and adds the completed ones. Returns whether
    /// all shards are complete.
    pub(crate) fn forget(&self, shards: &mut usize, now: Now, budget: &mut Budget) -> bool {
        for shard in &self.shards[*shards..] {
            budget.seek();
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

    /// Adds a watcher to a namespace. Returns the position to read from, or `None` if the watcher
    /// must begin with a gap.
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
            // A revision that was never assigned can't have been seen.
            WatchFrom::After(revision) => (revision <= latest).then_some(revision),
            WatchFrom::Elsewhere => None,
        };
        (watcher, position)
    }

    /// Reads the next event after this position. If there is none, `waker` is woken when there may
    /// be one.
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

    /// The latest revision such that all changes to the namespace up to it are published.
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

    /// Counts the live entries that this invalidation removes. If another invalidation is in
    /// progress, each entry is counted by the first that covers it, and the result is 0. The caller
    /// holds the stripe's lock.
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

    /// Publishes the change, whose effect must be complete. Returns its revision, and how many live
    /// entries are on this invalidation's account in addition to those that [`count`](Self::count)
    /// returned.
    pub(crate) fn publish(mut self) -> Invalidated {
        Invalidated {
            removed: self.leave(),
            revision: self.revision,
        }
    }

    fn leave(&mut self) -> u64 {
        let mut shard = self.change_log.shard(self.hash).lock();
        let own = (self.hash, self.revision);
        let Some(index) = shard.in_flight.iter().position(|other| *other == own) else {
            return 0;
        };
        shard.in_flight.swap_remove(index);
        let namespace = &*self.namespace;
        let removed = self.invalidates.take().map_or(0, |target| {
            shard.in_progress.end(namespace, &target, self.revision)
        });
        let wakers = shard.journals.take_wakers(namespace);
        drop(shard);
        for waker in wakers {
            waker.wake();
        }
        removed
    }
}

/// For a thread that panics between commit and publication: the watchers would otherwise wait
/// forever.
impl Drop for PendingChange<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
