//! The index of one stripe's entries: by name, by tag, and by earliest deadline.
//!
//! A stripe holds the names whose hashes select it. Its index holds every entry that a tier holds,
//! and is the only place that counts entries as added and removed. The index memory of an entry is
//! freed when the entry is removed, so the index never outgrows the live entries.

use std::{cmp::Ordering, ops::ControlFlow, sync::Arc};

use crate::{
    btree::{Tree, summary::Summary},
    counters::{Count, TierCount},
    model::{
        revision::Revision,
        tags::Tags,
        tier_spec::TierId,
        time::{Deadline, Now},
    },
    store::{
        entry::Entry,
        labels::{LabelSets, Labels, SharedBytes},
        namespaces::NamespaceRecord,
    },
    work::budget::Budget,
};

/// Why an entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalReason {
    Replaced,
    Invalidated,
    Evicted,
    Expired,
}

pub(crate) struct EntryIndex {
    /// Expired entries stand among the others. A leaf is searched for them once the earliest
    /// deadline in it has passed.
    by_name: Tree<Entry, Deadline>,
    /// The first tree holds entries by their first tag, the second tree by their second tag, and so
    /// on. Within a tag, entries are ordered by version.
    by_tag: Vec<Tree<Entry, ()>>,
    label_sets: LabelSets,
    /// Shared by all stripes.
    shared_bytes: SharedBytes,
}

impl EntryIndex {
    pub(crate) fn new(shared_bytes: SharedBytes) -> Self {
        Self {
            by_name: Tree::default(),
            by_tag: Vec::new(),
            label_sets: LabelSets::default(),
            shared_bytes,
        }
    }

    /// The labels for an entry that is about to be inserted.
    pub(crate) fn labels(
        &self,
        namespace: &Arc<NamespaceRecord>,
        tags: Tags,
        tier: TierId,
    ) -> Labels {
        self.label_sets.of(namespace, tags, tier)
    }

    /// Inserts an entry. The index must hold no other entry with its name.
    pub(crate) fn insert(&mut self, entry: &Entry) {
        let (tier, tally) = (entry.tier(), &entry.namespace().tally);
        let shared = self.label_sets.entry_added(entry.labels());
        self.shared_bytes.add(tier, shared);
        tally.entry_added(tier, u64::from(entry.weight()) + shared);
        let replaced = self
            .by_name
            .insert(entry.clone(), |other| other.cmp_name_of(entry));
        debug_assert!(replaced.is_none(), "the name had an entry");
        for (nth, tag) in entry.labels().tags().iter().enumerate() {
            if self.by_tag.len() == nth {
                self.by_tag.push(Tree::default());
            }
            let other = self.by_tag[nth].insert(entry.clone(), entry.under_tag(nth, tag));
            debug_assert!(other.is_none(), "the tag had this version");
        }
    }

    /// Removes exactly this entry, unless it was removed already.
    pub(crate) fn remove(&mut self, entry: &Entry, reason: RemovalReason) {
        let found = self.by_name.find(|other| other.cmp_name_of(entry));
        if !is_version(found, entry) {
            return;
        }
        let named = self.by_name.remove(|other| other.cmp_name_of(entry));
        debug_assert!(is_version(named.as_ref(), entry), "not among the names");
        for (nth, tag) in entry.labels().tags().iter().enumerate() {
            let tagged = self.by_tag[nth].remove(entry.under_tag(nth, tag));
            debug_assert!(is_version(tagged.as_ref(), entry), "not under its tag");
        }
        let (tier, tally) = (entry.tier(), &entry.namespace().tally);
        let shared = self.label_sets.entry_removed(entry.labels());
        self.shared_bytes.sub(tier, shared);
        tally.entry_removed(tier, u64::from(entry.weight()) + shared);
        match reason {
            RemovalReason::Replaced => {}
            RemovalReason::Invalidated => tally.add(Count::Invalidated),
            RemovalReason::Evicted => tally.add_to_tier(tier, TierCount::Evictions),
            RemovalReason::Expired => tally.add_to_tier(tier, TierCount::Expirations),
        }
    }

    pub(crate) fn named(&self, namespace: u64, key: &str) -> Option<&Entry> {
        self.by_name
            .find(|other| other.cmp_name(namespace, key.as_bytes()))
    }

    /// Entries of the namespace whose key starts with `prefix` and whose version is lower than
    /// `before`. An empty prefix matches all entries of the namespace. The search continues after
    /// the entry `after`, with which the last batch ended.
    pub(crate) fn with_prefix(
        &self,
        namespace: u64,
        prefix: &str,
        before: Revision,
        after: Option<&Entry>,
        budget: &mut Budget,
    ) -> Batch {
        let prefix = prefix.as_bytes();
        let mut batch = Batch::default();
        let _ = self.by_name.visit(
            |entry| match after {
                Some(after) => entry.cmp_name_of(after) != Ordering::Greater,
                None => entry.cmp_name(namespace, prefix) == Ordering::Less,
            },
            |entry| {
                if entry.namespace().id != namespace || !entry.key().starts_with(prefix) {
                    return ControlFlow::Break(());
                }
                batch.inspect(entry, entry.version() < before, budget)
            },
        );
        batch
    }

    /// Entries of the namespace with this tag and a version lower than `before`. The caller must
    /// remove them.
    pub(crate) fn tagged(
        &self,
        namespace: u64,
        tag: &str,
        before: Revision,
        budget: &mut Budget,
    ) -> Batch {
        let mut batch = Batch::default();
        for (nth, tree) in self.by_tag.iter().enumerate() {
            budget.seek();
            let _ = tree.visit(
                |entry| entry.cmp_tag(nth, namespace, tag) == Ordering::Less,
                |entry| {
                    let matches = entry.version() < before
                        && entry.cmp_tag(nth, namespace, tag) == Ordering::Equal;
                    if matches {
                        batch.inspect(entry, true, budget)
                    } else {
                        ControlFlow::Break(())
                    }
                },
            );
            if batch.last.is_some() {
                break;
            }
        }
        batch
    }

    /// Entries whose deadline has passed. The caller must remove them.
    pub(crate) fn due(&mut self, now: Now, budget: &mut Budget) -> Batch {
        let mut batch = Batch::default();
        self.by_name.sift(
            |earliest| earliest.passed(now),
            |entry| {
                let is_due = entry.deadline().passed(now);
                batch.inspect(entry, is_due, budget).map_continue(|()| {
                    if is_due {
                        Deadline::NONE
                    } else {
                        entry.deadline()
                    }
                })
            },
        );
        batch
    }
}

/// Whether an entry was found, and it is this very one.
fn is_version(found: Option<&Entry>, entry: &Entry) -> bool {
    found.is_some_and(|found| found.version() == entry.version())
}

/// A part of the entries that a search finds, to be removed before the stripe's lock is released.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    /// The entry inspected last, if more may follow.
    pub(crate) last: Option<Entry>,
}

impl Batch {
    /// Inspects an entry and adds it if it `matches`. Breaks when the budget is spent.
    fn inspect(&mut self, entry: &Entry, matches: bool, budget: &mut Budget) -> ControlFlow<()> {
        budget.inspect();
        if matches {
            budget.remove(entry.weight());
            self.entries.push(entry.clone());
        }
        if !budget.is_spent() {
            return ControlFlow::Continue(());
        }
        self.last = Some(entry.clone());
        ControlFlow::Break(())
    }
}

impl Entry {
    fn cmp_name_of(&self, other: &Self) -> Ordering {
        self.cmp_name(other.namespace().id, other.key())
    }

    fn cmp_tag(&self, nth: usize, namespace: u64, tag: &str) -> Ordering {
        let labels = self.labels();
        let by_namespace = labels.namespace().id.cmp(&namespace);
        by_namespace.then_with(|| labels.tags().nth(nth).cmp(&Some(tag)))
    }

    /// The order of entries relative to this entry in the tree of `nth` tags. `tag` is this entry's
    /// `nth` tag.
    fn under_tag(&self, nth: usize, tag: &str) -> impl Fn(&Self) -> Ordering {
        move |other| {
            let by_tag = if other.labels().is_same(self.labels()) {
                Ordering::Equal
            } else {
                other.cmp_tag(nth, self.namespace().id, tag)
            };
            by_tag.then_with(|| other.version().cmp(&self.version()))
        }
    }
}

/// The earliest instant on each clock.
impl Summary<Entry> for Deadline {
    /// As many as fit into an allocation of 512 bytes.
    const MAX_ITEMS: usize = 85;
    const NONE: Self = Self::NEVER;

    fn of(entry: &Entry) -> Self {
        entry.deadline()
    }

    fn and(self, other: Self) -> Self {
        self.earliest(other)
    }
}
