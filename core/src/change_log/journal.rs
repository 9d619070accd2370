//! The journals of the namespaces that are watched: what changed, in the order
//! of revisions, for watchers to read at their own pace.
//!
//! Bounded in bytes. What a watcher hasn't read when it is forgotten is a gap,
//! and the watcher is told so. A journal outlives its last watcher for a while,
//! so that one that lost its connection finds its place again.

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

/// For how long a journal is kept without a watcher.
const UNWATCHED: Duration = Duration::from_secs(60);
/// With this many journals, those without a watcher aren't kept.
const UNWATCHED_FROM: usize = 1024;
/// What an event takes besides its text: its place in the queue, and the text's
/// reference counts.
const EVENT_OVERHEAD: u64 = 64;

/// What changed in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This key holds the version that is the change's revision.
    Replaced(Arc<str>),
    /// Everything that this covers was revoked.
    Invalidated(OwnedTarget),
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFrom {
    /// With what changes from now on.
    Now,
    /// After this revision.
    After(u64),
    /// After a revision of another server, which is nowhere in this one: with a
    /// gap.
    Elsewhere,
}

/// What a watcher is to be told next.
#[derive(Debug)]
pub(crate) enum JournalRead {
    /// This change.
    Change { revision: u64, change: Change },
    /// There are changes up to this revision that nobody remembers.
    Gap { up_to: u64 },
    /// Everything up to this revision was read. `is_all` unless a change that is
    /// done waits behind one that isn't.
    Nothing { up_to: u64, is_all: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WatcherId(u64);

pub(super) struct Journals {
    by_namespace: HashMap<Box<str>, Journal>,
    /// Bytes, shared out evenly.
    capacity: u64,
    watchers_so_far: u64,
}

struct Journal {
    events: VecDeque<(u64, Change)>,
    bytes: u64,
    /// Up to this revision nothing is remembered.
    begins_after: u64,
    /// Those who wait, each once.
    wakers: HashMap<WatcherId, Waker>,
    watchers: usize,
    /// When it is forgotten, once it was found without watchers.
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

    /// Remembers a change, if anybody may ask for it.
    pub(super) fn append(
        &mut self,
        namespace: NamespaceName<'_>,
        revision: Revision,
        change: impl FnOnce() -> Change,
    ) {
        // Most servers watch nothing, and most Puts end here.
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

    /// What comes after the start of `unread`, of what is published: up to its
    /// end.
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
            // A change that was forgotten before it was published: to tell of
            // the gap now would be to tell of it before its effect is there.
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
            // Not back: what was published once stays so, but a position may
            // come from a caller.
            _ => JournalRead::Nothing {
                up_to: unread.end.max(unread.start),
                is_all: self.unpublished(unread.end) <= in_flight
                    && self.begins_after <= unread.end,
            },
        }
    }

    /// How many changes after this revision are remembered.
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
