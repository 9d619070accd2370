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
    sync::Arc,
};

use crate::{
    change_log::target_map::Targets,
    model::{
        invalidation::OwnedTarget,
        name::{Key, NamespaceName},
        revision::Revision,
        time::{BootTime, WallTime},
    },
    work::budget::Budget,
};

/// What shows that a Put's credential was fetched after a revocation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    /// The latest revision when the lease was granted.
    pub(crate) granted: Option<u64>,
    pub(crate) issued_at: Option<WallTime>,
}

/// What an invalidation leaves behind: what is refused from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revocation {
    /// Credentials issued at or before.
    pub(crate) issued_before: WallTime,
    /// When no such credential can be live any more, and no lease that was
    /// granted before.
    pub(crate) until: BootTime,
}

pub(super) struct Fences {
    namespaces: HashMap<Arc<str>, NamespaceFences>,
    /// By how many fences they have.
    by_size: BTreeSet<(usize, Arc<str>)>,
    by_end: BTreeMap<End, Arc<str>>,
    /// Around every namespace.
    floor: Option<Fence>,
    /// The latest `issued_before` of the fences that were forgotten by age. It
    /// stands for all of them, and is never forgotten.
    issued_floor: Option<WallTime>,
    capacity: usize,
}

/// The fences of one namespace; at least one.
#[derive(Default)]
struct NamespaceFences {
    fences: Targets<Fence>,
    by_end: BTreeMap<End, OwnedTarget>,
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

impl Fences {
    /// Remembers up to this many, but always one.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            namespaces: HashMap::new(),
            by_size: BTreeSet::new(),
            by_end: BTreeMap::new(),
            floor: None,
            issued_floor: None,
            capacity: capacity.max(1),
        }
    }

    pub(super) fn raise(
        &mut self,
        namespace: NamespaceName<'_>,
        part: OwnedTarget,
        revision: Revision,
        revocation: Revocation,
    ) {
        let fence = Fence {
            revision: revision.number(),
            issued_before: revocation.issued_before,
            until: revocation.until,
        };
        self.insert(namespace.as_str().into(), part, fence);
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
        if evidence
            .issued_at
            .is_some_and(|issued_at| Some(issued_at) <= self.issued_floor)
        {
            return true;
        }
        let refuses = |fence: &Fence| fence.refuses(evidence);
        if self.floor.iter().any(refuses) {
            return true;
        }
        let Some(namespace) = self.namespaces.get(namespace.as_str()) else {
            return false;
        };
        namespace.fences.around(key, tags).any(refuses)
    }

    /// Forgets those whose time is over, as many as the budget allows.
    pub(super) fn forget(&mut self, now: BootTime, budget: &mut Budget) {
        while !budget.is_spent()
            && let Some((end, _)) = self.by_end.first_key_value()
            && end.0 <= now
        {
            budget.remove_other();
            let end = *end;
            if let Some((_, _, fence)) = self.remove(end) {
                self.forgot(fence);
            }
        }
        if let Some(floor) = self.floor.take_if(|floor| floor.until <= now) {
            self.forgot(floor);
        }
    }

    fn forgot(&mut self, fence: Fence) {
        self.issued_floor = self.issued_floor.max(Some(fence.issued_before));
    }

    fn insert(&mut self, name: Arc<str>, part: OwnedTarget, fence: Fence) {
        let fences = self.namespaces.entry(name.clone()).or_default();
        let size = fences.by_end.len();
        let (old, new) = fences.insert(part, fence);
        if let Some(old) = old {
            self.by_end.remove(&old);
        }
        self.by_end.insert(new, name.clone());
        let now = fences.by_end.len();
        self.resized(name, size, now);
    }

    fn remove(&mut self, end: End) -> Option<(Arc<str>, OwnedTarget, Fence)> {
        let name = self.by_end.remove(&end)?;
        let fences = self.namespaces.get_mut(&name)?;
        let size = fences.by_end.len();
        let removed = fences.remove(end);
        let now = fences.by_end.len();
        if now == 0 {
            self.namespaces.remove(&name);
        }
        self.resized(name.clone(), size, now);
        removed.map(|(part, fence)| (name, part, fence))
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
            .and_then(NamespaceFences::oldest);
        let Some((name, part, fence)) = oldest.and_then(|end| self.remove(end)) else {
            return;
        };
        match part {
            OwnedTarget::Key(_) | OwnedTarget::Prefix(_) | OwnedTarget::Tag(_)
                if self.namespaces.contains_key(&name) =>
            {
                self.insert(name, OwnedTarget::All, fence);
            }
            // The namespace's only one: there is nothing coarser but the floor.
            _ => match &mut self.floor {
                Some(floor) => floor.raise(fence),
                floor => *floor = Some(fence),
            },
        }
    }
}

impl NamespaceFences {
    /// Raises what is there already; answers with the ends before and after.
    fn insert(&mut self, part: OwnedTarget, fence: Fence) -> (Option<End>, End) {
        let (old, new) = match self.fences.get_mut(&part) {
            Some(there) => {
                let old = there.end();
                there.raise(fence);
                (Some(old), there.end())
            }
            None => {
                self.fences.insert(part.clone(), fence);
                (None, fence.end())
            }
        };
        if let Some(old) = old {
            self.by_end.remove(&old);
        }
        self.by_end.insert(new, part);
        (old, new)
    }

    fn remove(&mut self, end: End) -> Option<(OwnedTarget, Fence)> {
        let part = self.by_end.remove(&end)?;
        let fence = self.fences.remove(&part);
        fence.map(|fence| (part, fence))
    }

    /// The one to give up first: that around the whole namespace only when
    /// there is no other.
    fn oldest(&self) -> Option<End> {
        let mut ends = self.by_end.iter();
        let finer = ends.find(|(_, part)| !matches!(part, OwnedTarget::All));
        finer.or(self.by_end.first_key_value()).map(|(end, _)| *end)
    }
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
