//! Every past invalidation, and what must, may and must not be refused because of it.

use super::Selection;
use crate::names::{NAMESPACES, Name};

#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    pub(crate) namespace: usize,
    pub(crate) selection: Selection,
    pub(crate) revision: u64,
    /// By the wall clock, in nanoseconds.
    pub(crate) issued_before: u64,
    /// How long the invalidation must be remembered, by the boot-time clock in nanoseconds.
    pub(crate) until: u64,
}

/// The evidence of a Put that its credential was fetched after a revocation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) granted: Option<u64>,
    pub(crate) issued_at: Option<u64>,
}

pub(crate) enum Judgement {
    /// The credential was revoked, and the cache must know.
    Refused,
    /// The credential wasn't revoked, but was issued before an invalidation that was forgotten
    /// because of its age, so it must be refused.
    RefusedByAge,
    /// The credential wasn't revoked, and the cache must know.
    Accepted,
    /// The credential wasn't revoked, or the revocation may be forgotten; but with a full memory,
    /// the cache may refuse it.
    Either,
}

pub(crate) struct Fences {
    /// All invalidations.
    pub(crate) ever: Vec<Revocation>,
    /// One per target. A later invalidation of the same target extends the memory of the earlier
    /// one.
    by_target: Vec<Revocation>,
    /// For each namespace, the most that may be refused since the memory was full.
    coarse: [Option<Coarse>; NAMESPACES.len()],
    was_full: bool,
    /// The capacity of a shard. The model doesn't know which namespaces share a shard.
    capacity: usize,
    /// The latest `issued_before` of forgotten invalidations: for each namespace, and for all
    /// namespaces, because the model doesn't know which namespaces share a shard.
    aged: [Option<u64>; NAMESPACES.len()],
    aged_anywhere: Option<u64>,
}

#[derive(Clone, Copy)]
struct Coarse {
    revision: u64,
    issued_before: u64,
    until: u64,
}

impl Fences {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ever: Vec::new(),
            by_target: Vec::new(),
            coarse: [None; NAMESPACES.len()],
            was_full: false,
            capacity,
            aged: [None; NAMESPACES.len()],
            aged_anywhere: None,
        }
    }

    pub(crate) fn judge(&self, name: Name, tags: &[usize], evidence: Evidence) -> Judgement {
        let refuses = |of: &&Revocation| {
            of.namespace == name.namespace
                && evidence.is_refused_by(of.revision, of.issued_before)
                && of.selection.matches(name.key, tags)
        };
        if self.ever.iter().any(|one| refuses(&one)) {
            return Judgement::Refused;
        }
        let is_aged = |aged: Option<u64>| evidence.issued_at.is_some_and(|at| Some(at) <= aged);
        let coarse = self.coarse[name.namespace];
        if !self.was_full && is_aged(self.aged[name.namespace]) {
            Judgement::RefusedByAge
        } else if coarse.is_some_and(|coarse| coarse.refuses(evidence))
            || is_aged(self.aged_anywhere)
        {
            Judgement::Either
        } else {
            Judgement::Accepted
        }
    }

    pub(crate) fn raise(&mut self, new: Revocation) {
        self.ever.push(new.clone());
        if let (Selection::All, Some(coarse)) = (&new.selection, &mut self.coarse[new.namespace]) {
            coarse.raise(&new);
        }
        let there = self
            .by_target
            .iter_mut()
            .find(|one| one.namespace == new.namespace && one.selection.is(&new.selection));
        match there {
            Some(there) => {
                there.revision = new.revision;
                there.issued_before = there.issued_before.max(new.issued_before);
                there.until = there.until.max(new.until);
            }
            None => self.by_target.push(new),
        }
        // All namespaces may share a shard, which may also hold a coarse fence for each of them.
        let coarse = if self.was_full { NAMESPACES.len() } else { 0 };
        if self.by_target.len() + coarse > self.capacity {
            self.coarsen();
        }
    }

    /// Forgets invalidations that are too old, and returns their number.
    pub(crate) fn forget(&mut self, boot: u64) -> u64 {
        let before = self.by_target.len();
        let (old, kept): (Vec<_>, _) = std::mem::take(&mut self.by_target)
            .into_iter()
            .partition(|one| one.until <= boot);
        self.by_target = kept;
        for one in old {
            let aged = &mut self.aged[one.namespace];
            *aged = (*aged).max(Some(one.issued_before));
            self.aged_anywhere = self.aged_anywhere.max(Some(one.issued_before));
        }
        for coarse in &mut self.coarse {
            if let Some(old) = coarse.take_if(|coarse| coarse.until <= boot) {
                self.aged_anywhere = self.aged_anywhere.max(Some(old.issued_before));
            }
        }
        (before - self.by_target.len()) as u64
    }

    /// Any fence may have become a coarse fence of its namespace, or of all namespaces if there is
    /// no room for one per namespace.
    fn coarsen(&mut self) {
        self.was_full = true;
        for one in &self.by_target {
            let coarse = &mut self.coarse[one.namespace];
            coarse.get_or_insert(Coarse::NONE).raise(one);
        }
        if self.capacity < NAMESPACES.len() {
            let mut all = Coarse::NONE;
            for coarse in self.coarse.iter().flatten() {
                all.revision = all.revision.max(coarse.revision);
                all.issued_before = all.issued_before.max(coarse.issued_before);
                all.until = all.until.max(coarse.until);
            }
            self.coarse = [Some(all); NAMESPACES.len()];
        }
    }
}

impl Coarse {
    const NONE: Self = Self {
        revision: 0,
        issued_before: 0,
        until: 0,
    };

    fn refuses(self, evidence: Evidence) -> bool {
        evidence.is_refused_by(self.revision, self.issued_before)
    }

    fn raise(&mut self, other: &Revocation) {
        self.revision = self.revision.max(other.revision);
        self.issued_before = self.issued_before.max(other.issued_before);
        self.until = self.until.max(other.until);
    }
}

impl Evidence {
    fn is_refused_by(self, revision: u64, issued_before: u64) -> bool {
        self.granted.is_some_and(|granted| granted < revision)
            || self
                .issued_at
                .is_some_and(|issued_at| issued_at <= issued_before)
    }
}
