//! Invalidations, at once or with other steps between beginning and end.

use credcache_core::{
    Count, Invalidate, Invalidated, Key, KeyPrefix, MAX_CLOCK_AHEAD, Revision, Sweep, Tag, Target,
};

use super::Episode;
use crate::{
    clocks::{Clocks, nanos, wall},
    figures::Figures,
    names::{self, Name, TAGS},
    reference::{Held, Revocation, Selection},
    seen::Event,
};

/// More steps than an invalidation of all entries takes.
pub(super) const MAX_STEPS: usize = 100_000;

impl<'a> Episode<'a> {
    pub(super) fn invalidate(&mut self) {
        let name = self.leased_name();
        let selection = self.draw.selection(name.key);
        let issued_before = self.issued_before();
        if let Selection::Key(_) = selection {
            return self.invalidate_key(name, selection, issued_before);
        }
        let sweep = self.begin(name.namespace, selection, issued_before);
        let begun = self.clocks;
        self.claimed = 0;
        for _ in 0..self.draw.rng.u8(0..8) {
            self.step_while_invalidating();
            self.check_figures();
        }
        self.finish(sweep, begun);
    }

    /// Begins an invalidation. From now on, matching credentials are covered.
    fn begin(
        &mut self,
        namespace: usize,
        selection: Selection,
        issued_before: Option<u64>,
    ) -> Sweep<'a> {
        let invalidate = Invalidate {
            namespace: names::namespace(namespace),
            target: target(&selection, None),
            issued_before: issued_before.map(wall),
        };
        let cache = self.cache;
        let sweep = cache.begin_invalidation(invalidate, self.clocks.now());
        self.reference.revision += 1;
        self.reference.counted.add(Count::Invalidations);
        self.reference.cover(namespace, &selection);
        self.revoked(namespace, selection, issued_before);
        sweep
    }

    /// A random operation that looks up a key or decides by its content.
    fn step_while_invalidating(&mut self) {
        match self.draw.rng.u8(0..32) {
            0..8 => self.put(),
            8..12 => self.fill(),
            12..16 => self.get(),
            16..18 => self.hit(),
            18..20 => self.get_as_holder(),
            20..26 => self.ask(),
            26 => self.abandon(),
            27..30 => {
                let name = self.leased_name();
                let issued_before = self.issued_before();
                self.invalidate_key(name, Selection::Key(name.key), issued_before);
            }
            30 if !self.shape.fine_steps => self.reclaim(),
            _ => self.pass_a_little(),
        }
    }

    /// Completes the invalidation.
    fn finish(&mut self, mut sweep: Sweep<'_>, begun: Clocks) {
        let answer = (0..MAX_STEPS).find_map(|_| sweep.step());
        let Some(answer) = answer else {
            // Dropped, it would go on without an end.
            std::mem::forget(sweep);
            panic!("an invalidation without an end");
        };
        let (removed, ended) = self.removed();
        assert_eq!(answer.removed, self.claimed + removed, "removed");
        // A sweep judges entries by the clocks as of its beginning.
        let (live, expired) = self.reference.remove_covered(begun);
        assert!(removed <= live && ended <= expired, "removed too much");
        self.account_evictions(live - removed + expired - ended);
        let counted = &mut self.reference.counted;
        counted.add_times(Count::Invalidated, removed);
        self.seen.add_times(Event::Invalidated, removed);
    }

    /// If the name's credential was covered, the last operation must have removed it. Returns
    /// whether it was covered.
    pub(super) fn claim(&mut self, name: Name) -> bool {
        let held = self.reference.held.get(&name);
        let Some(held) = held.filter(|held| held.covered) else {
            return false;
        };
        let is_live = held.is_live(self.clocks);
        match self.removed() {
            (0, 0) => {
                self.account_missing(name);
                return false;
            }
            (removed, ended) => assert_eq!((removed, ended), (is_live.into(), (!is_live).into())),
        }
        self.reference.remove_claimed(name, is_live);
        if is_live {
            self.reference.counted.add(Count::Invalidated);
            self.claimed += 1;
        }
        // The credential was removed before anything else that the step did.
        self.figures.entries -= 1;
        self.figures.expirations += u64::from(!is_live);
        self.seen.add(Event::Claimed);
        true
    }

    /// How many live credentials and how many expired ones the cache removed in this step, other
    /// than by eviction.
    fn removed(&self) -> (u64, u64) {
        let figures = Figures::of(self.cache);
        let removed =
            figures.count(Count::Invalidated) - self.reference.counted.count(Count::Invalidated);
        (removed, figures.expirations - self.figures.expirations)
    }

    fn invalidate_key(&mut self, name: Name, selection: Selection, issued_before: Option<u64>) {
        let if_version = self.draw.rng.bool().then(|| self.some_version(name));
        let invalidate = Invalidate {
            namespace: names::namespace(name.namespace),
            target: target(&selection, if_version),
            issued_before: issued_before.map(wall),
        };
        let answer = self.cache.invalidate(invalidate, self.clocks.now());
        self.reference.revision += 1;
        assert_eq!(answer.revision.number(), self.reference.revision);
        self.reference.counted.add(Count::Invalidations);

        let is_another = |held: &Held| if_version.is_some_and(|version| held.version != version);
        let holds_another = self.reference.held.get(&name).is_some_and(is_another);
        if !holds_another && self.claim(name) {
            assert_eq!(answer.removed, 0, "the earlier invalidation removed it");
            if if_version.is_some() {
                return;
            }
        }
        let (_, ended) = self.removed();
        if let Some(version) = if_version
            && !self.holds_version(name, version, answer.removed + ended)
        {
            assert_eq!((answer.removed, ended), (0, 0), "of another version");
            self.seen.add(Event::VersionNotHeld);
            return;
        }
        self.key_removed(name, answer, ended);
        self.revoked(name.namespace, selection, issued_before);
    }

    fn key_removed(&mut self, name: Name, answer: Invalidated, ended: u64) {
        let counted = &mut self.reference.counted;
        counted.add_times(Count::Invalidated, answer.removed);
        self.seen.add_times(Event::Invalidated, answer.removed);
        let Some(held) = self.reference.held.get(&name) else {
            assert_eq!((answer.removed, ended), (0, 0), "removed too much");
            return;
        };
        let is_live = held.is_live(self.clocks);
        if (answer.removed, ended) == (0, 0) {
            self.account_missing(name);
        } else {
            let one = (u64::from(is_live), u64::from(!is_live));
            assert_eq!((answer.removed, ended), one, "removed too much");
            self.reference.remove_claimed(name, is_live);
        }
    }

    /// The `issued_before` of a request: none, or any time up to some minutes beyond the tolerated
    /// maximum.
    fn issued_before(&mut self) -> Option<u64> {
        let now = self.clocks.wall;
        match self.draw.rng.u8(0..8) {
            0..2 => Some(now - self.draw.length()),
            2 => Some(now + self.draw.rng.u64(0..2 * nanos(MAX_CLOCK_AHEAD))),
            _ => None,
        }
    }

    /// Whether the cache held the version, given how many credentials it removed.
    fn holds_version(&mut self, name: Name, version: u64, removed: u64) -> bool {
        let held = self.reference.held.get(&name);
        if held.is_none_or(|held| held.version != version) {
            return false;
        }
        if removed == 0 {
            self.account_missing(name);
        }
        removed > 0
    }

    /// Records an invalidation that has its revision.
    fn revoked(&mut self, namespace: usize, selection: Selection, issued_before: Option<u64>) {
        let revision = self.reference.revision;
        self.reference
            .journals
            .invalidate(namespace, &selection, revision);
        let now = self.clocks;
        let latest = now.wall + nanos(MAX_CLOCK_AHEAD);
        let issued_before = issued_before.unwrap_or(now.wall).min(latest);
        let ahead = issued_before.saturating_sub(now.wall);
        self.reference.fences.raise(Revocation {
            namespace,
            selection,
            revision,
            issued_before,
            until: now.boot + ahead + self.shape.retention(),
        });
    }
}

fn target(selection: &Selection, if_version: Option<u64>) -> Target<'static> {
    match selection {
        Selection::Key(key) => Target::Key {
            key: Key::parse(names::key(*key)).expect("a key"),
            if_version: if_version.and_then(Revision::from_wire),
        },
        Selection::Prefix(prefix) => Target::Prefix(KeyPrefix::parse(prefix).expect("a prefix")),
        Selection::Tag(tag) => Target::Tag(Tag::parse(TAGS[*tag]).expect("a tag")),
        Selection::All => Target::All,
    }
}
