//! Where the entries of one stripe stand: by name and by tag, and when the
//! earliest of them end.
//!
//! A stripe is the part of all names whose hash falls to it. Its index holds
//! every entry that a tier holds, and is the only place where entries are
//! counted in and out. Each entry owns its places: when it goes, they go, so
//! the index never outgrows what is live.

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

/// Why an entry leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalReason {
    Replaced,
    Invalidated,
    Evicted,
    Expired,
}

pub(crate) struct EntryIndex {
    /// Entries that end stand among those that don't: a block of names is
    /// looked through for them once the earliest of its deadlines has passed.
    by_name: Tree<Entry, Deadline>,
    /// By the first of the tags that each entry has, by the second, and so on.
    /// Under one tag they stand by version.
    by_tag: Vec<Tree<Entry, ()>>,
    label_sets: LabelSets,
    /// Of all stripes.
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

    /// What an entry that is about to come shares with others.
    pub(crate) fn labels(
        &self,
        namespace: &Arc<NamespaceRecord>,
        tags: Tags,
        tier: TierId,
    ) -> Labels {
        self.label_sets.of(namespace, tags, tier)
    }

    /// An entry whose name has no other.
    pub(crate) fn insert(&mut self, entry: &Entry) {
        let (tier, tally) = (entry.tier(), &entry.namespace().tally);
        let shared = self.label_sets.entry_added(entry.labels());
        self.shared_bytes.add(tier, shared);
        tally.entry_added(tier, u64::from(entry.weight()) + shared);
        let other = self
            .by_name
            .insert(entry.clone(), |one| one.cmp_name_of(entry));
        debug_assert!(other.is_none(), "the name had an entry");
        for (nth, tag) in entry.labels().tags().iter().enumerate() {
            if self.by_tag.len() == nth {
                self.by_tag.push(Tree::default());
            }
            let other = self.by_tag[nth].insert(entry.clone(), entry.under_tag(nth, tag));
            debug_assert!(other.is_none(), "the tag had this version");
        }
    }

    /// Removes this very entry, unless it has already gone.
    pub(crate) fn remove(&mut self, entry: &Entry, why: RemovalReason) {
        let found = self.by_name.find(|one| one.cmp_name_of(entry));
        if !is_version(found, entry) {
            return;
        }
        let named = self.by_name.remove(|one| one.cmp_name_of(entry));
        debug_assert!(is_version(named.as_ref(), entry), "not among the names");
        for (nth, tag) in entry.labels().tags().iter().enumerate() {
            let tagged = self.by_tag[nth].remove(entry.under_tag(nth, tag));
            debug_assert!(is_version(tagged.as_ref(), entry), "not under its tag");
        }
        let (tier, tally) = (entry.tier(), &entry.namespace().tally);
        let shared = self.label_sets.entry_removed(entry.labels());
        self.shared_bytes.sub(tier, shared);
        tally.entry_removed(tier, u64::from(entry.weight()) + shared);
        match why {
            RemovalReason::Replaced => {}
            RemovalReason::Invalidated => tally.add(Count::Invalidated),
            RemovalReason::Evicted => tally.add_to_tier(tier, TierCount::Evictions),
            RemovalReason::Expired => tally.add_to_tier(tier, TierCount::Expirations),
        }
    }

    pub(crate) fn named(&self, namespace: u64, key: &str) -> Option<&Entry> {
        self.by_name
            .find(|one| one.cmp_name(namespace, key.as_bytes()))
    }

    /// Entries of the namespace whose key starts with `prefix` and that were put
    /// before `revision`; all of the namespace's with an empty prefix. Goes on
    /// after the entry that the last batch ended with.
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
            |one| match after {
                Some(after) => one.cmp_name_of(after) != Ordering::Greater,
                None => one.cmp_name(namespace, prefix) == Ordering::Less,
            },
            |one| {
                if one.namespace().id != namespace || !one.key().starts_with(prefix) {
                    return ControlFlow::Break(());
                }
                batch.look(one, one.version() < before, budget)
            },
        );
        batch
    }

    /// Entries of the namespace with this tag that were put before `revision`,
    /// which must be removed.
    pub(crate) fn tagged(
        &self,
        namespace: u64,
        tag: &str,
        before: Revision,
        budget: &mut Budget,
    ) -> Batch {
        let mut batch = Batch::default();
        for (nth, tree) in self.by_tag.iter().enumerate() {
            budget.find_place();
            let _ = tree.visit(
                |one| one.cmp_tag(nth, namespace, tag) == Ordering::Less,
                |one| {
                    let is_one = one.version() < before
                        && one.cmp_tag(nth, namespace, tag) == Ordering::Equal;
                    if is_one {
                        batch.look(one, true, budget)
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

    /// Entries whose deadline has passed, which must be removed.
    pub(crate) fn due(&mut self, now: Now, budget: &mut Budget) -> Batch {
        let mut batch = Batch::default();
        self.by_name.sift(
            |earliest| earliest.passed(now),
            |one| {
                let is_due = one.deadline().passed(now);
                batch.look(one, is_due, budget).map_continue(|()| {
                    if is_due {
                        Deadline::NONE
                    } else {
                        one.deadline()
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

/// Some of the entries that were searched for, to be removed under one holding
/// of the stripe's lock.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    /// The last one looked at, if there may be more behind it.
    pub(crate) last: Option<Entry>,
}

impl Batch {
    /// Takes the entry or leaves it; breaks off once that was all that the
    /// budget allowed.
    fn look(&mut self, entry: &Entry, take: bool, budget: &mut Budget) -> ControlFlow<()> {
        budget.look();
        if take {
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

    /// How others stand to this one among those with an `nth` tag; `tag` is its
    /// own.
    fn under_tag(&self, nth: usize, tag: &str) -> impl Fn(&Self) -> Ordering {
        move |one| {
            let by_tag = if one.labels().is_same(self.labels()) {
                Ordering::Equal
            } else {
                one.cmp_tag(nth, self.namespace().id, tag)
            };
            by_tag.then_with(|| one.version().cmp(&self.version()))
        }
    }
}

/// The earliest on each clock.
impl Summary<Entry> for Deadline {
    /// What an allocation of 512 bytes has room for.
    const MOST_ITEMS: usize = 85;
    const NONE: Self = Self::NEVER;

    fn of(entry: &Entry) -> Self {
        entry.deadline()
    }

    fn and(self, other: Self) -> Self {
        self.earliest(other)
    }
}
