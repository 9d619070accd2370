//! Revoking credentials.

use credcache::cache::{Count, Invalidate, Key, KeyPrefix, LONGEST_AHEAD, Revision, Tag, Target};

use super::Episode;
use crate::{
    clocks::{nanos, wall},
    figures::Figures,
    names::{self, Name, TAGS},
    reference::{Revocation, Selection},
    seen::Event,
};

impl Episode<'_> {
    pub(super) fn invalidate(&mut self) {
        let name = self.leased_name();
        let selection = self.draw.selection(name.key);
        let if_version = match &selection {
            Selection::Key(_) if self.draw.rng.bool() => Some(self.some_version(name)),
            _ => None,
        };
        let issued_before = self.issued_before();
        let invalidate = Invalidate {
            namespace: names::namespace(name.namespace),
            target: target(&selection, if_version),
            issued_before: issued_before.map(wall),
        };
        let answer = self.cache.invalidate(invalidate, self.clocks.now());
        let ended = Figures::of(self.cache).expirations - self.figures.expirations;

        self.reference.revision += 1;
        assert_eq!(answer.revision.number(), self.reference.revision);
        let counted = &mut self.reference.counted;
        counted.add(Count::Invalidations);
        counted.add_times(Count::Invalidated, answer.removed);
        self.seen.add_times(Event::Invalidated, answer.removed);
        if let Some(version) = if_version
            && !self.holds_version(name, version, answer.removed + ended)
        {
            assert_eq!((answer.removed, ended), (0, 0), "of another version");
            self.seen.add(Event::VersionNotHeld);
            return;
        }
        self.revoked(
            name.namespace,
            selection,
            issued_before,
            (answer.removed, ended),
        );
    }

    /// What the caller states: nothing, or any time up to some minutes more than
    /// counts.
    fn issued_before(&mut self) -> Option<u64> {
        let now = self.clocks.wall;
        match self.draw.rng.u8(0..8) {
            0..2 => Some(now - self.draw.length()),
            2 => Some(now + self.draw.rng.u64(0..2 * nanos(LONGEST_AHEAD))),
            _ => None,
        }
    }

    /// Whether the cache, which removed that many, held the version.
    fn holds_version(&mut self, name: Name, version: u64, removed: u64) -> bool {
        let held = self.reference.held.get(&name);
        if held.is_none_or(|held| held.version != version) {
            return false;
        }
        if removed == 0 {
            self.notice_missing(name);
        }
        removed > 0
    }

    fn revoked(
        &mut self,
        namespace: usize,
        selection: Selection,
        issued_before: Option<u64>,
        (removed, expired): (u64, u64),
    ) {
        let (live, ended) = self.reference.remove(namespace, &selection, self.clocks);
        assert!(removed <= live && expired <= ended, "removed too much");
        self.notice(live - removed + ended - expired);
        let revision = self.reference.revision;
        self.reference
            .journals
            .invalidate(namespace, &selection, revision);
        let now = self.clocks;
        let latest = now.wall + nanos(LONGEST_AHEAD);
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
