//! Every past change, which of them may be forgotten and which must be, and what a client that
//! knows all changes believes.

use std::collections::BTreeMap;

use credcache_core::{Change, OwnedTarget};

use super::Selection;
use crate::{
    clocks::SECOND,
    names::{self, NAMESPACES, Name},
};

/// How long a journal is kept without a watcher.
const UNWATCHED: u64 = 60 * SECOND;
/// Bytes that an event takes in addition to its text.
const EVENT_OVERHEAD: u64 = 64;

pub(crate) struct Journals {
    /// One per namespace.
    all: [Journal; NAMESPACES.len()],
    capacity: u64,
}

#[derive(Default)]
struct Journal {
    /// All changes.
    ever: Vec<(u64, Change)>,
    /// What the keys hold according to the changes: the last Put of each key, unless it was
    /// invalidated since.
    believed: BTreeMap<usize, Believed>,
    kept: Option<Kept>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Believed {
    pub(crate) version: u64,
    pub(crate) tags: Vec<usize>,
}

struct Kept {
    watchers: usize,
    until: Option<u64>,
    /// The events if no other namespace shares the memory, and if all do.
    most: Tail,
    least: Tail,
}

/// The latest changes, as revisions and bytes.
struct Tail {
    begins_after: u64,
    events: std::collections::VecDeque<(u64, u64)>,
    bytes: u64,
}

impl Journals {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            all: Default::default(),
            capacity,
        }
    }

    pub(crate) fn put(&mut self, name: Name, version: u64, tags: &[usize]) {
        let change = Change::Replaced(names::key(name.key).into());
        self.append(name.namespace, version, change);
        let tags = tags.to_vec();
        let believed = Believed { version, tags };
        self.all[name.namespace].believed.insert(name.key, believed);
    }

    pub(crate) fn invalidate(&mut self, namespace: usize, selection: &Selection, revision: u64) {
        self.append(namespace, revision, change(selection));
        self.all[namespace]
            .believed
            .retain(|key, believed| !selection.matches(*key, &believed.tags));
    }

    pub(crate) fn believed(&self, namespace: usize) -> &BTreeMap<usize, Believed> {
        &self.all[namespace].believed
    }

    /// The first change after this revision.
    pub(crate) fn next(&self, namespace: usize, after: u64) -> Option<&(u64, Change)> {
        let ever = &self.all[namespace].ever;
        ever.get(ever.partition_point(|(revision, _)| *revision <= after))
    }

    /// Whether a watcher at this position may receive a gap, and whether it must.
    pub(crate) fn gap(&self, namespace: usize, position: u64) -> (bool, bool) {
        let kept = self.all[namespace].kept.as_ref().expect("watched");
        let may = position < kept.least.begins_after;
        (may, position < kept.most.begins_after)
    }

    pub(crate) fn watch(&mut self, namespace: usize, latest: u64) {
        if self.all[namespace].kept.is_none() {
            self.all[namespace].kept = Some(Kept {
                watchers: 0,
                until: None,
                most: Tail::after(latest),
                least: Tail::after(latest),
            });
            let share = self.least_share();
            for kept in self.all.iter_mut().filter_map(|one| one.kept.as_mut()) {
                kept.least.trim(share);
            }
        }
        let kept = self.all[namespace].kept.as_mut();
        kept.expect("kept from now on").watchers += 1;
    }

    pub(crate) fn unwatch(&mut self, namespace: usize) {
        let kept = self.all[namespace].kept.as_mut();
        kept.expect("watched").watchers -= 1;
    }

    /// Forgets journals that no watcher returned to, and returns their number.
    pub(crate) fn forget(&mut self, boot: u64) -> u64 {
        let mut forgotten = 0;
        for journal in &mut self.all {
            let Some(kept) = &mut journal.kept else {
                continue;
            };
            if kept.watchers > 0 {
                kept.until = None;
            } else if *kept.until.get_or_insert(boot + UNWATCHED) <= boot {
                journal.kept = None;
                forgotten += 1;
            }
        }
        forgotten
    }

    fn append(&mut self, namespace: usize, revision: u64, change: Change) {
        let (most, least) = (self.capacity, self.least_share());
        let journal = &mut self.all[namespace];
        if let Some(kept) = &mut journal.kept {
            let bytes = EVENT_OVERHEAD + text(&change).len() as u64;
            for (tail, share) in [(&mut kept.most, most), (&mut kept.least, least)] {
                tail.events.push_back((revision, bytes));
                tail.bytes += bytes;
                tail.trim(share);
            }
        }
        journal.ever.push((revision, change));
    }

    fn least_share(&self) -> u64 {
        let kept = self.all.iter().filter(|one| one.kept.is_some());
        self.capacity / kept.count().max(1) as u64
    }
}

impl Tail {
    fn after(revision: u64) -> Self {
        Self {
            begins_after: revision,
            events: std::collections::VecDeque::new(),
            bytes: 0,
        }
    }

    fn trim(&mut self, share: u64) {
        while self.bytes > share {
            let (revision, bytes) = self.events.pop_front().expect("bytes are of events");
            self.begins_after = revision;
            self.bytes -= bytes;
        }
    }
}

fn change(selection: &Selection) -> Change {
    Change::Invalidated(match selection {
        Selection::Key(key) => OwnedTarget::Key(names::key(*key).into()),
        Selection::Prefix(prefix) => OwnedTarget::Prefix((*prefix).into()),
        Selection::Tag(tag) => OwnedTarget::Tag(names::TAGS[*tag].into()),
        Selection::All => OwnedTarget::All,
    })
}

fn text(change: &Change) -> &str {
    match change {
        Change::Replaced(text)
        | Change::Invalidated(
            OwnedTarget::Key(text) | OwnedTarget::Prefix(text) | OwnedTarget::Tag(text),
        ) => text,
        Change::Invalidated(OwnedTarget::All) => "",
    }
}
