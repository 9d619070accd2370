//! Where the entries of one stripe stand: by name, by tag and by deadline.
//!
//! A stripe is the part of all names whose hash falls to it. Its index holds
//! every entry that a tier holds, and is the only place where entries are
//! counted in and out. Each entry owns its places: when it goes, they go, so
//! the index never outgrows what is live.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use super::{
    counters::{Count, TierCount},
    entry::Entry,
    revision::Revision,
    time::{BootTime, Now},
};

/// Why an entry leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    Replaced,
    Invalidated,
    Evicted,
    Expired,
}

#[derive(Default)]
pub(super) struct Index {
    by_name: BTreeSet<ByName>,
    by_tag: BTreeSet<ByTag>,
    /// One timeline for each offset between the two clocks, in seconds; without
    /// steps of the wall clock there is one. Within a timeline the entries
    /// stand in the order in which they end, on either clock.
    by_deadline: BTreeMap<i64, BTreeMap<(BootTime, Revision), Arc<Entry>>>,
}

impl Index {
    pub(super) fn insert(&mut self, entry: &Arc<Entry>) {
        entry.namespace.tally.entry_came(entry.tier, entry.weight);
        self.by_name.insert(ByName(entry.clone()));
        for nth in entry.contents.tags.numbers() {
            self.by_tag.insert(ByTag {
                entry: entry.clone(),
                nth,
            });
        }
        self.by_deadline
            .entry(entry.deadline.offset_secs())
            .or_default()
            .insert((entry.deadline.boot(), entry.version), entry.clone());
    }

    /// Removes this very entry, unless it has already gone.
    pub(super) fn remove(&mut self, entry: &Entry, why: Departure) {
        let name: &dyn Position = &entry.by_name();
        if self
            .by_name
            .get(name)
            .is_none_or(|found| found.0.version != entry.version)
        {
            return;
        }
        self.by_name.remove(name);
        for tag in entry.contents.tags.iter() {
            self.by_tag.remove::<dyn Position>(&entry.by_tag(tag));
        }
        let offset = entry.deadline.offset_secs();
        if let Some(timeline) = self.by_deadline.get_mut(&offset) {
            timeline.remove(&(entry.deadline.boot(), entry.version));
            if timeline.is_empty() {
                self.by_deadline.remove(&offset);
            }
        }
        let tally = &entry.namespace.tally;
        tally.entry_went(entry.tier, entry.weight);
        match why {
            Departure::Replaced => {}
            Departure::Invalidated => tally.add(Count::Invalidated),
            Departure::Evicted => tally.add_to_tier(entry.tier, TierCount::Evictions),
            Departure::Expired => tally.add_to_tier(entry.tier, TierCount::Expirations),
        }
    }

    pub(super) fn named(&self, namespace: u64, key: &str) -> Option<&Arc<Entry>> {
        self.by_name
            .get::<dyn Position>(&Place(namespace, key, 0))
            .map(|found| &found.0)
    }

    /// Entries of the namespace whose key starts with `prefix` and that were put
    /// before `revision`; all of the namespace's with an empty prefix. Goes on
    /// after the entry that the last batch ended with.
    pub(super) fn with_prefix(
        &self,
        namespace: u64,
        prefix: &str,
        before: Revision,
        after: Option<&Entry>,
    ) -> Batch {
        let prefix_itself = Place(namespace, prefix, 0);
        let start: Bound<&dyn Position> = match after {
            Some(entry) => Bound::Excluded(&Place(namespace, &entry.key, 0)),
            None => Bound::Included(&prefix_itself),
        };
        let matching = self
            .by_name
            .range::<dyn Position, _>((start, Bound::Unbounded))
            .map(|found| &found.0)
            .take_while(|entry| entry.namespace.id == namespace && entry.key.starts_with(prefix));
        Batch::take(matching, |entry| entry.version < before)
    }

    /// Entries of the namespace with this tag that were put before `revision`.
    pub(super) fn tagged(&self, namespace: u64, tag: &str, before: Revision) -> Batch {
        let start = Place(namespace, tag, 0);
        let end = Place(namespace, tag, before.number());
        let range: (Bound<&dyn Position>, Bound<&dyn Position>) =
            (Bound::Included(&start), Bound::Excluded(&end));
        let found = self.by_tag.range::<dyn Position, _>(range);
        Batch::take(found.map(|found| &found.entry), |_| true)
    }

    /// Entries whose deadline has passed. An entry may come up to a second late
    /// where the wall clock has stepped.
    pub(super) fn due(&self, now: Now) -> Batch {
        let timelines = self.by_deadline.values();
        let due = timelines.flat_map(|timeline| {
            timeline
                .values()
                .take_while(|entry| entry.deadline.passed(now))
        });
        Batch::take(due, |_| true)
    }
}

/// Some of the entries that were searched for, to be removed under one holding
/// of the stripe's lock.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Arc<Entry>>,
    /// The last one looked at, if there may be more behind it.
    pub(super) last: Option<Arc<Entry>>,
}

/// How many entries are looked at under one holding of a stripe's lock, so that
/// a large removal holds up other changes for well below a millisecond.
pub(super) const BATCH: usize = 128;

impl Batch {
    fn take<'a>(
        found: impl Iterator<Item = &'a Arc<Entry>>,
        matches: impl Fn(&Entry) -> bool,
    ) -> Self {
        let mut entries: Vec<_> = found.take(BATCH).cloned().collect();
        let last = entries.last().filter(|_| entries.len() == BATCH).cloned();
        entries.retain(|entry| matches(entry));
        Self { entries, last }
    }
}

/// A place in one of the ordered sets: namespace, text, and a revision where
/// entries share the text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a>(u64, &'a str, u64);

/// What the sets are ordered by, so that they can be searched without an entry
/// at hand.
trait Position {
    fn place(&self) -> Place<'_>;
}

struct ByName(Arc<Entry>);

struct ByTag {
    entry: Arc<Entry>,
    nth: u8,
}

impl Entry {
    fn by_name(&self) -> Place<'_> {
        Place(self.namespace.id, &self.key, 0)
    }

    fn by_tag<'a>(&self, tag: &'a str) -> Place<'a> {
        Place(self.namespace.id, tag, self.version.number())
    }
}

impl Position for Place<'_> {
    fn place(&self) -> Place<'_> {
        Place(self.0, self.1, self.2)
    }
}

impl Position for ByName {
    fn place(&self) -> Place<'_> {
        self.0.by_name()
    }
}

impl Position for ByTag {
    fn place(&self) -> Place<'_> {
        self.entry.by_tag(self.entry.contents.tags.nth(self.nth))
    }
}

impl Ord for dyn Position + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        Ord::cmp(&self.place(), &other.place())
    }
}

macro_rules! ordered_by_position {
    ($name:ident) => {
        impl<'a> Borrow<dyn Position + 'a> for $name {
            fn borrow(&self) -> &(dyn Position + 'a) {
                self
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                (self as &dyn Position).cmp(other as &dyn Position)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl Eq for $name {}
    };
}

ordered_by_position!(ByName);
ordered_by_position!(ByTag);

impl PartialOrd for dyn Position + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Position + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for dyn Position + '_ {}
