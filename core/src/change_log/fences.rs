//! Fences: the memory of invalidations, which refuses fills that began before an invalidation.
//!
//! The memory is bounded and fails closed. When it is full, the namespace with the most fences
//! merges its oldest fence into a coarser fence around the whole namespace. If only such fences are
//! left, one is merged into a fence around all namespaces of the shard. A coarser fence refuses
//! everything that the finer fence refused, and more.

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

/// Evidence that the credential of a Put was fetched after a revocation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    /// The latest revision when the Put's lease was granted.
    pub(crate) granted: Option<u64>,
    pub(crate) issued_at: Option<WallTime>,
}

/// What an invalidation refuses from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revocation {
    /// Credentials issued at or before this instant are refused.
    pub(crate) issued_before: WallTime,
    /// From this instant on, no such credential can be live, and no earlier lease can be filled.
    pub(crate) until: BootTime,
}

pub(super) struct Fences {
    namespaces: HashMap<Arc<str>, NamespaceFences>,
    /// The namespaces, ordered by their number of fences.
    by_size: BTreeSet<(usize, Arc<str>)>,
    by_end: BTreeMap<End, Arc<str>>,
    /// The fence around all namespaces of the shard.
    floor: Option<Fence>,
    /// The latest `issued_before` of all fences that were forgotten because of their age. It is
    /// never forgotten itself.
    issued_floor: Option<WallTime>,
    capacity: usize,
}

/// The fences of one namespace. There is at least one.
#[derive(Default)]
struct NamespaceFences {
    fences: Targets<Fence>,
    by_end: BTreeMap<End, OwnedTarget>,
}

/// Refuses fills under a lease granted before `revision`, and credentials issued at or before
/// `issued_before`.
#[derive(Clone, Copy, Debug)]
struct Fence {
    revision: u64,
    issued_before: WallTime,
    until: BootTime,
}

/// When a fence may be forgotten. The revision makes the key unique.
type End = (BootTime, u64);

impl Fences {
    /// Remembers up to `capacity` fences, but at least one.
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
        target: OwnedTarget,
        revision: Revision,
        revocation: Revocation,
    ) {
        let fence = Fence {
            revision: revision.number(),
            issued_before: revocation.issued_before,
            until: revocation.until,
        };
        self.insert(namespace.as_str().into(), target, fence);
        while self.by_end.len() > self.capacity {
            self.coarsen();
        }
    }

    /// Whether the credential of this key and these tags may have been revoked, according to the
    /// evidence.
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
        namespace.fences.covering(key, tags).any(refuses)
    }

    /// Forgets fences that have ended, as many as the budget allows.
    pub(super) fn forget(&mut self, now: BootTime, budget: &mut Budget) {
        while !budget.is_spent()
            && let Some((end, _)) = self.by_end.first_key_value()
            && end.0 <= now
        {
            budget.remove_other();
            let end = *end;
            if let Some((_, _, fence)) = self.remove(end) {
                self.raise_issued_floor(fence);
            }
        }
        if let Some(floor) = self.floor.take_if(|floor| floor.until <= now) {
            self.raise_issued_floor(floor);
        }
    }

    fn raise_issued_floor(&mut self, fence: Fence) {
        self.issued_floor = self.issued_floor.max(Some(fence.issued_before));
    }

    fn insert(&mut self, name: Arc<str>, target: OwnedTarget, fence: Fence) {
        let fences = self.namespaces.entry(name.clone()).or_default();
        let size = fences.by_end.len();
        let (old, new) = fences.insert(target, fence);
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
        removed.map(|(target, fence)| (name, target, fence))
    }

    fn resized(&mut self, name: Arc<str>, from: usize, to: usize) {
        if from != to {
            self.by_size.remove(&(from, name.clone()));
            if to > 0 {
                self.by_size.insert((to, name));
            }
        }
    }

    /// Merges one fence into a coarser fence.
    fn coarsen(&mut self) {
        let largest = self.by_size.last();
        let oldest = largest
            .and_then(|(_, name)| self.namespaces.get(name))
            .and_then(NamespaceFences::oldest);
        let Some((name, target, fence)) = oldest.and_then(|end| self.remove(end)) else {
            return;
        };
        match target {
            OwnedTarget::Key(_) | OwnedTarget::Prefix(_) | OwnedTarget::Tag(_)
                if self.namespaces.contains_key(&name) =>
            {
                self.insert(name, OwnedTarget::All, fence);
            }
            // This fence is the namespace's only one, or is around the whole namespace already:
            // only the floor is coarser.
            _ => match &mut self.floor {
                Some(floor) => floor.raise(fence),
                floor => *floor = Some(fence),
            },
        }
    }
}

impl NamespaceFences {
    /// Inserts a fence, or merges it into the existing fence of the same target. Returns the end
    /// before, if there was a fence, and the end now.
    fn insert(&mut self, target: OwnedTarget, fence: Fence) -> (Option<End>, End) {
        let (old, new) = match self.fences.get_mut(&target) {
            Some(existing) => {
                let old = existing.end();
                existing.raise(fence);
                (Some(old), existing.end())
            }
            None => {
                self.fences.insert(target.clone(), fence);
                (None, fence.end())
            }
        };
        if let Some(old) = old {
            self.by_end.remove(&old);
        }
        self.by_end.insert(new, target);
        (old, new)
    }

    fn remove(&mut self, end: End) -> Option<(OwnedTarget, Fence)> {
        let target = self.by_end.remove(&end)?;
        let fence = self.fences.remove(&target);
        fence.map(|fence| (target, fence))
    }

    /// The fence to merge first. The fence around the whole namespace is chosen only if there is no
    /// other.
    fn oldest(&self) -> Option<End> {
        let mut ends = self.by_end.iter();
        let finer = ends.find(|(_, target)| !matches!(target, OwnedTarget::All));
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

    /// Merges another fence in: refuses everything that either fence refused, for as long as either
    /// would have.
    fn raise(&mut self, other: Self) {
        self.revision = self.revision.max(other.revision);
        self.issued_before = self.issued_before.max(other.issued_before);
        self.until = self.until.max(other.until);
    }

    fn end(&self) -> End {
        (self.until, self.revision)
    }
}
