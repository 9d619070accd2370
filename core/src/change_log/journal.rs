//! Journals: the changes of each watched namespace, in the order of revisions, which watchers read
//! at their own pace.
//!
//! Journals are bounded in bytes. If changes are forgotten before a watcher has read them, the
//! watcher is informed of the gap. A journal is kept for a while after its last watcher has gone,
//! so that a watcher that lost its connection can resume.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::Arc,
    task::Waker,
    time::Duration,
};

use crate::model::{
    invalidation::OwnedTarget, name::NamespaceName, revision::Revision, time::BootTime,
};

/// How long a journal without watchers is kept.
const UNWATCHED: Duration = Duration::from_secs(60);
/// From this number of journals on, a journal without watchers isn't kept.
const UNWATCHED_FROM: usize = 1024;
/// Bytes that an event takes in addition to its text: its queue slot, and the reference counts of
/// the text.
const EVENT_OVERHEAD: u64 = 64;

/// A change to a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key now holds a credential whose version is the revision of the change.
    Replaced(Arc<str>),
    /// All credentials that the target covers were revoked.
    Invalidated(OwnedTarget),
}

/// Where a watcher begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFrom {
    /// With the changes from now on.
    Now,
    /// With the first change after this revision.
    After(u64),
    /// After a revision of another cache, which corresponds to no revision of this cache. The
    /// watcher begins with a gap.
    Elsewhere,
}

/// The next event of a watcher.
#[derive(Debug)]
pub(crate) enum JournalRead {
    /// The next change.
    Change { revision: u64, change: Change },
    /// Some changes up to this revision were forgotten.
    Gap { up_to: u64 },
    /// Everything up to this revision was read. `is_all` is false if a change has its effect but
    /// waits for an earlier change to be published.
    Nothing { up_to: u64, is_all: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WatcherId(u64);

pub(super) struct Journals {
    by_namespace: HashMap<Box<str>, Journal>,
    /// The bytes of all journals, divided equally among them.
    capacity: u64,
    watchers_so_far: u64,
}

struct Journal {
    events: VecDeque<(u64, Change)>,
    bytes: u64,
    /// Changes up to this revision aren't remembered.
    begins_after: u64,
    /// The wakers of watchers that wait for a change, one per watcher.
    wakers: HashMap<WatcherId, Waker>,
    watchers: usize,
    /// When the journal is forgotten; set once it is found without watchers.
    until: Option<BootTime>,
}

impl Journals {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            by_namespace: HashMap::new(),
            capacity,
            watchers_so_far: 0,
        }
    }

    /// Appends a change if the namespace is watched.
    pub(super) fn append(
        &mut self,
        namespace: NamespaceName<'_>,
        revision: Revision,
        change: impl FnOnce() -> Change,
    ) {
        // Most servers have no watchers, so most Puts return here.
        if self.by_namespace.is_empty() {
            return;
        }
        let share = self.share();
        if let Some(journal) = self.by_namespace.get_mut(namespace.as_str()) {
            journal.append(revision.number(), change());
            journal.trim(share);
        }
    }

    pub(super) fn watch(&mut self, namespace: NamespaceName<'_>, latest: u64) -> WatcherId {
        if !self.by_namespace.contains_key(namespace.as_str()) {
            if self.by_namespace.len() >= UNWATCHED_FROM {
                self.by_namespace.retain(|_, journal| journal.watchers > 0);
            }
            let journal = Journal::after(latest);
            self.by_namespace.insert(namespace.as_str().into(), journal);
            let share = self.share();
            for journal in self.by_namespace.values_mut() {
                journal.trim(share);
            }
        }
        if let Some(journal) = self.by_namespace.get_mut(namespace.as_str()) {
            journal.watchers += 1;
        }
        self.watchers_so_far += 1;
        WatcherId(self.watchers_so_far)
    }

    pub(super) fn unwatch(&mut self, namespace: &str, watcher: WatcherId) {
        if let Some(journal) = self.by_namespace.get_mut(namespace) {
            journal.watchers -= 1;
            journal.wakers.remove(&watcher);
        }
    }

    /// Reads the next event after `unread.start`. `unread.end` is the latest published revision.
    pub(super) fn read(
        &mut self,
        namespace: &str,
        watcher: WatcherId,
        unread: Range<u64>,
        in_flight: usize,
        waker: &Waker,
    ) -> JournalRead {
        let Some(journal) = self.by_namespace.get_mut(namespace) else {
            return JournalRead::Gap { up_to: unread.end };
        };
        let read = journal.read(unread, in_flight);
        if matches!(read, JournalRead::Nothing { .. }) {
            journal.wakers.insert(watcher, waker.clone());
        }
        read
    }

    pub(super) fn take_wakers(&mut self, namespace: &str) -> Vec<Waker> {
        if self.by_namespace.is_empty() {
            return Vec::new();
        }
        let journal = self.by_namespace.get_mut(namespace);
        journal.map_or_else(Vec::new, |journal| {
            journal.wakers.drain().map(|(_, waker)| waker).collect()
        })
    }

    fn share(&self) -> u64 {
        self.capacity / self.by_namespace.len().max(1) as u64
    }

    pub(super) fn forget(&mut self, now: BootTime) {
        self.by_namespace
            .retain(|_, journal| journal.is_wanted(now));
    }
}

impl Journal {
    fn after(revision: u64) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            begins_after: revision,
            wakers: HashMap::new(),
            watchers: 0,
            until: None,
        }
    }

    fn is_wanted(&mut self, now: BootTime) -> bool {
        if self.watchers > 0 {
            self.until = None;
            return true;
        }
        *self.until.get_or_insert(now.after(UNWATCHED)) > now
    }

    fn append(&mut self, revision: u64, change: Change) {
        debug_assert!(
            self.events.back().is_none_or(|(last, _)| *last < revision),
            "out of the order of revisions"
        );
        self.bytes += change.bytes();
        self.events.push_back((revision, change));
    }

    fn trim(&mut self, share: u64) {
        while self.bytes > share
            && let Some((forgotten, change)) = self.events.pop_front()
        {
            self.bytes -= change.bytes();
            self.begins_after = forgotten;
        }
    }

    fn read(&self, unread: Range<u64>, in_flight: usize) -> JournalRead {
        if unread.start < self.begins_after {
            // The forgotten change isn't published yet. Reporting the gap now would announce a
            // change that has no effect yet.
            return if unread.end < self.begins_after {
                JournalRead::Nothing {
                    up_to: unread.start,
                    is_all: false,
                }
            } else {
                JournalRead::Gap { up_to: unread.end }
            };
        }
        let next = self
            .events
            .partition_point(|(revision, _)| *revision <= unread.start);
        match self.events.get(next) {
            Some((revision, change)) if *revision <= unread.end => JournalRead::Change {
                revision: *revision,
                change: change.clone(),
            },
            // Never move backwards: published revisions stay published, but `unread.start` may be a
            // position supplied by the caller.
            _ => JournalRead::Nothing {
                up_to: unread.end.max(unread.start),
                is_all: self.unpublished(unread.end) <= in_flight
                    && self.begins_after <= unread.end,
            },
        }
    }

    /// How many remembered changes have a revision above `published`.
    fn unpublished(&self, published: u64) -> usize {
        let first = self
            .events
            .partition_point(|(revision, _)| *revision <= published);
        self.events.len() - first
    }
}

impl Change {
    fn bytes(&self) -> u64 {
        let text = match self {
            Self::Replaced(key) => key,
            Self::Invalidated(target) => target.text(),
        };
        EVENT_OVERHEAD + text.len() as u64
    }
}
