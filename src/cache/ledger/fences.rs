//! The memory of invalidations, by which fills that began before one are
//! refused.
//!
//! Bounded, and fails closed: when it is full, the oldest fence of the
//! namespace that has the most becomes part of a coarser one, around the whole
//! namespace; and where there is nothing left but those, around all namespaces
//! of the shard. A coarser fence refuses all that the finer one refused, and
//! more.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use super::{Evidence, Revocation};
use crate::cache::{
    invalidate::Target,
    name::{Key, NamespaceName},
    remove::Budget,
    revision::Revision,
    time::{BootTime, WallTime},
};

pub(super) struct Fences {
    namespaces: HashMap<Arc<str>, Namespace>,
    /// By how many fences they have.
    by_size: BTreeSet<(usize, Arc<str>)>,
    by_end: BTreeMap<End, Arc<str>>,
    /// Around every namespace.
    floor: Option<Fence>,
    capacity: usize,
}

/// The fences of one namespace; at least one.
#[derive(Default)]
struct Namespace {
    keys: HashMap<Arc<str>, Fence>,
    prefixes: BTreeMap<Arc<str>, Fence>,
    tags: HashMap<Arc<str>, Fence>,
    /// Around the whole namespace.
    floor: Option<Fence>,
    by_end: BTreeMap<End, Around>,
}

/// What is refused: fills under a lease granted before `revision`, and
/// credentials issued at or before `issued_before`.
#[derive(Clone, Copy, Debug)]
struct Fence {
    revision: u64,
    issued_before: WallTime,
    until: BootTime,
}

/// When a fence may be forgotten; its revision makes it unique.
type End = (BootTime, u64);

#[derive(Clone)]
enum Around {
    Key(Arc<str>),
    Prefix(Arc<str>),
    Tag(Arc<str>),
    Namespace,
}

impl Fences {
    /// Remembers up to this many, but always one.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            namespaces: HashMap::new(),
            by_size: BTreeSet::new(),
            by_end: BTreeMap::new(),
            floor: None,
            capacity: capacity.max(1),
        }
    }

    pub(super) fn raise(
        &mut self,
        namespace: NamespaceName<'_>,
        target: Target<'_>,
        revision: Revision,
        revocation: Revocation,
    ) {
        let around = match target {
            Target::Key { key, .. } => Around::Key(key.as_str().into()),
            Target::Prefix(prefix) => Around::Prefix(prefix.as_str().into()),
            Target::Tag(tag) => Around::Tag(tag.as_str().into()),
            Target::All => Around::Namespace,
        };
        let fence = Fence {
            revision: revision.number(),
            issued_before: revocation.issued_before,
            until: revocation.until,
        };
        self.insert(namespace.as_str().into(), around, fence);
        while self.by_end.len() > self.capacity {
            self.coarsen();
        }
    }

    /// Whether a credential with this name and these tags may be one that was
    /// revoked, going by the evidence.
    pub(super) fn refuse<'a, Tags: Iterator<Item = &'a str>>(
        &self,
        namespace: NamespaceName<'_>,
        key: Key<'_>,
        tags: impl FnOnce() -> Tags,
        evidence: Evidence,
    ) -> bool {
        if evidence.granted.is_none() && evidence.issued_at.is_none() {
            return false;
        }
        let refuses = |fence: &Fence| fence.refuses(evidence);
        if self.floor.iter().any(refuses) {
            return true;
        }
        let Some(fences) = self.namespaces.get(namespace.as_str()) else {
            return false;
        };
        fences.floor.iter().any(refuses)
            || fences.keys.get(key.as_str()).is_some_and(refuses)
            || fences.around_prefixes_of(key.as_str()).any(refuses)
            || (!fences.tags.is_empty()
                && tags().any(|tag| fences.tags.get(tag).is_some_and(refuses)))
    }

    /// Forgets those whose time is over, as many as the budget allows.
    pub(super) fn forget(&mut self, now: BootTime, budget: &mut Budget) {
        while !budget.is_spent()
            && let Some((end, _)) = self.by_end.first_key_value()
            && end.0 <= now
        {
            budget.remove_other();
            let end = *end;
            self.remove(end);
        }
        if self.floor.is_some_and(|floor| floor.until <= now) {
            self.floor = None;
        }
    }

    fn insert(&mut self, name: Arc<str>, around: Around, fence: Fence) {
        let fences = self.namespaces.entry(name.clone()).or_default();
        let size = fences.by_end.len();
        let (old, new) = fences.insert(around, fence);
        if let Some(old) = old {
            self.by_end.remove(&old);
        }
        self.by_end.insert(new, name.clone());
        let now = fences.by_end.len();
        self.resized(name, size, now);
    }

    fn remove(&mut self, end: End) -> Option<(Arc<str>, Around, Fence)> {
        let name = self.by_end.remove(&end)?;
        let fences = self.namespaces.get_mut(&name)?;
        let size = fences.by_end.len();
        let removed = fences.remove(end);
        let now = fences.by_end.len();
        if now == 0 {
            self.namespaces.remove(&name);
        }
        self.resized(name.clone(), size, now);
        removed.map(|(around, fence)| (name, around, fence))
    }

    fn resized(&mut self, name: Arc<str>, from: usize, to: usize) {
        if from != to {
            self.by_size.remove(&(from, name.clone()));
            if to > 0 {
                self.by_size.insert((to, name));
            }
        }
    }

    /// Takes the place of one fence by a coarser one.
    fn coarsen(&mut self) {
        let largest = self.by_size.last();
        let oldest = largest
            .and_then(|(_, name)| self.namespaces.get(name))
            .and_then(Namespace::oldest);
        let Some((name, around, fence)) = oldest.and_then(|end| self.remove(end)) else {
            return;
        };
        match around {
            Around::Key(_) | Around::Prefix(_) | Around::Tag(_)
                if self.namespaces.contains_key(&name) =>
            {
                self.insert(name, Around::Namespace, fence);
            }
            // The namespace's only one: there is nothing coarser but the floor.
            _ => match &mut self.floor {
                Some(floor) => floor.raise(fence),
                floor => *floor = Some(fence),
            },
        }
    }
}

impl Namespace {
    /// Raises what is there already; answers with the ends before and after.
    fn insert(&mut self, around: Around, fence: Fence) -> (Option<End>, End) {
        let place = match &around {
            Around::Key(key) => self.keys.get_mut(key),
            Around::Prefix(prefix) => self.prefixes.get_mut(prefix),
            Around::Tag(tag) => self.tags.get_mut(tag),
            Around::Namespace => self.floor.as_mut(),
        };
        let (old, new) = match place {
            Some(there) => {
                let old = there.end();
                there.raise(fence);
                (Some(old), there.end())
            }
            None => {
                match around.clone() {
                    Around::Key(key) => drop(self.keys.insert(key, fence)),
                    Around::Prefix(prefix) => drop(self.prefixes.insert(prefix, fence)),
                    Around::Tag(tag) => drop(self.tags.insert(tag, fence)),
                    Around::Namespace => self.floor = Some(fence),
                }
                (None, fence.end())
            }
        };
        if let Some(old) = old {
            self.by_end.remove(&old);
        }
        self.by_end.insert(new, around);
        (old, new)
    }

    fn remove(&mut self, end: End) -> Option<(Around, Fence)> {
        let around = self.by_end.remove(&end)?;
        let fence = match &around {
            Around::Key(key) => self.keys.remove(key),
            Around::Prefix(prefix) => self.prefixes.remove(prefix),
            Around::Tag(tag) => self.tags.remove(tag),
            Around::Namespace => self.floor.take(),
        };
        fence.map(|fence| (around, fence))
    }

    /// The one to give up first: the floor only when there is no other.
    fn oldest(&self) -> Option<End> {
        let mut ends = self.by_end.iter();
        let finer = ends.find(|(_, around)| !matches!(around, Around::Namespace));
        finer.or(self.by_end.first_key_value()).map(|(end, _)| *end)
    }

    /// The fences around prefixes of this key, longest first. Each step finds
    /// one or rules out all that don't share more with the key.
    fn around_prefixes_of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Fence> {
        let mut bound = Bound::Included(key);
        std::iter::from_fn(move || {
            loop {
                let below = (Bound::Unbounded, bound);
                let (prefix, fence) = self.prefixes.range::<str, _>(below).next_back()?;
                let shared = shared(prefix, key);
                if shared.len() == prefix.len() {
                    bound = Bound::Excluded(shared);
                    return Some(fence);
                }
                bound = Bound::Included(shared);
            }
        })
    }
}

/// What both texts begin with, taken from the second.
fn shared<'a>(one: &str, other: &'a str) -> &'a str {
    let pairs = one.chars().zip(other.char_indices());
    let differing = pairs.into_iter().find(|(a, (_, b))| a != b);
    let len = differing.map_or(one.len().min(other.len()), |(_, (place, _))| place);
    &other[..len]
}

impl Fence {
    fn refuses(&self, evidence: Evidence) -> bool {
        evidence
            .granted
            .is_some_and(|granted| granted < self.revision)
            || evidence
                .issued_at
                .is_some_and(|issued_at| issued_at <= self.issued_before)
    }

    /// Refuses what either refused, for as long as either would have.
    fn raise(&mut self, other: Self) {
        self.revision = self.revision.max(other.revision);
        self.issued_before = self.issued_before.max(other.issued_before);
        self.until = self.until.max(other.until);
    }

    fn end(&self) -> End {
        (self.until, self.revision)
    }
}
