//! Watchers, each with the beliefs of a near cache: an entry that the watcher wasn't told to drop
//! must still be current.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use credcache_core::{Change, OwnedTarget, WatchEvent, WatchFrom, Watcher};

use super::{Episode, Woke};
use crate::{
    names::{self, KEYS, TAGS},
    reference::Believed,
    seen::Event,
};

type Shadow = BTreeMap<usize, Believed>;

pub(super) struct Watching {
    watcher: Watcher,
    namespace: usize,
    /// The revision up to which it received everything; `None` before a gap.
    position: Option<u64>,
    shadow: Shadow,
    /// Whether the shadow is complete.
    is_whole: bool,
    woke: Arc<Woke>,
    waker: Waker,
    /// How often the task was woken before the watcher last had nothing to read.
    waits_since: Option<u64>,
    resumed: bool,
}

/// The state that a dropped watcher resumes with.
pub(super) struct Left {
    namespace: usize,
    position: Option<u64>,
    shadow: Shadow,
    is_whole: bool,
}

/// How many dropped watchers are remembered.
const LEFT: usize = 8;

impl Episode<'_> {
    pub(super) fn meet_watcher(&mut self) {
        let index = self.draw.index(self.watching.len());
        match (self.draw.rng.u8(0..10), index) {
            (0..2, _) | (_, None) => self.watch(),
            (2, Some(index)) => self.leave(index),
            (3..7, Some(index)) => {
                for _ in 0..self.draw.rng.u8(1..5) {
                    if !self.read(index) {
                        break;
                    }
                }
            }
            (_, Some(index)) => while self.read(index) {},
        }
    }

    fn watch(&mut self) {
        let latest = self.reference.revision;
        let back = self.draw.index(self.left.len());
        let (from, left) = match (self.draw.rng.u8(0..8), back) {
            (0..4, Some(index)) => {
                let left = self.left.swap_remove(index);
                match left.position {
                    Some(position) => (WatchFrom::After(position), left),
                    None => (WatchFrom::Elsewhere, left),
                }
            }
            (0..6, _) => {
                let namespace = self.draw.namespace();
                let shadow = self.reference.journals.believed(namespace).clone();
                (WatchFrom::Now, Left::with(namespace, Some(latest), shadow))
            }
            (6, _) => {
                // The beliefs at an arbitrary revision aren't known, so the shadow begins empty.
                let after = self.draw.rng.u64(0..=latest);
                let nothing = Left::with(self.draw.namespace(), Some(after), Shadow::new());
                let left = Left {
                    is_whole: false,
                    ..nothing
                };
                (WatchFrom::After(after), left)
            }
            _ => {
                let from = match self.draw.rng.bool() {
                    true => WatchFrom::Elsewhere,
                    false => WatchFrom::After(latest + self.draw.rng.u64(1..3)),
                };
                // A wrong belief that only a gap can correct.
                let bogus = Believed {
                    version: u64::MAX,
                    tags: Vec::new(),
                };
                let shadow = Shadow::from([(0, bogus)]);
                (from, Left::with(self.draw.namespace(), None, shadow))
            }
        };
        let namespace = names::namespace(left.namespace);
        let answer = self.cache.clone().watch(namespace, from);
        let has_room = self.watching.len() < self.shape.limits.max_watchers as usize;
        assert_eq!(answer.is_ok(), has_room, "{answer:?}");
        let Ok(watcher) = answer else {
            self.seen.add(Event::TooManyWatchers);
            return;
        };
        self.reference.journals.watch(left.namespace, latest);
        self.seen.add(match from {
            WatchFrom::Now => Event::WatchedFromNow,
            WatchFrom::After(_) => Event::Resumed,
            WatchFrom::Elsewhere => Event::Elsewhere,
        });
        let woke = Arc::new(Woke::default());
        let watching = Watching {
            watcher,
            namespace: left.namespace,
            position: left.position,
            shadow: left.shadow,
            is_whole: left.is_whole,
            waker: woke.clone().into(),
            woke,
            waits_since: None,
            resumed: matches!(from, WatchFrom::After(_)),
        };
        watching.check_position();
        self.watching.push(watching);
    }

    fn leave(&mut self, index: usize) {
        let watching = self.watching.swap_remove(index);
        self.reference.journals.unwatch(watching.namespace);
        if self.left.len() == LEFT {
            let index = self.draw.rng.usize(0..LEFT);
            self.left.swap_remove(index);
        }
        self.left.push(Left {
            namespace: watching.namespace,
            position: watching.position,
            shadow: watching.shadow,
            is_whole: watching.is_whole,
        });
    }

    /// Reads one event. Returns whether there was one.
    fn read(&mut self, index: usize) -> bool {
        let watching = &mut self.watching[index];
        let journals = &self.reference.journals;
        let namespace = watching.namespace;
        let latest = self.reference.revision;
        let (may_gap, must_gap) = match watching.position {
            Some(position) => journals.gap(namespace, position),
            None => (true, true),
        };
        let next = watching
            .position
            .and_then(|position| journals.next(namespace, position));
        let mut context = Context::from_waker(&watching.waker);
        watching.waits_since = None;
        match watching.watcher.poll_next(&mut context) {
            Poll::Ready(WatchEvent::Gap(up_to)) => {
                assert!(may_gap, "nothing was forgotten");
                assert_eq!(up_to, latest);
                watching.position = Some(up_to);
                watching.shadow = journals.believed(namespace).clone();
                watching.is_whole = true;
                self.seen.add(Event::Gap);
                if watching.resumed {
                    self.seen.add(Event::ResumedWithGap);
                }
            }
            Poll::Ready(WatchEvent::Change(revision, change)) => {
                assert!(!must_gap, "a gap is missing");
                assert_eq!(next, Some(&(revision, change.clone())));
                watching.position = Some(revision);
                let believed = journals.believed(namespace);
                believe(&mut watching.shadow, believed, revision, &change);
                self.seen.add(Event::Received);
            }
            Poll::Pending => {
                assert!(!must_gap, "a gap is missing");
                assert_eq!(next, None, "a change is missing");
                watching.position = Some(latest);
                watching.waits_since = Some(watching.woke.times());
                let believed = journals.believed(namespace);
                if watching.is_whole {
                    assert_eq!(watching.shadow, *believed, "it believes something else");
                }
                for (key, version) in &watching.shadow {
                    assert_eq!(believed.get(key), Some(version), "it believes too much");
                }
                self.seen.add(Event::Drained);
            }
        }
        watching.resumed = false;
        watching.check_position();
        watching.waits_since.is_none()
    }

    /// Checks that a waiting watcher is woken when there is something to read.
    pub(super) fn check_watchers_are_woken(&mut self) {
        for watching in &mut self.watching {
            let Some(before) = watching.waits_since else {
                continue;
            };
            let position = watching.position.expect("it received everything");
            let next = self.reference.journals.next(watching.namespace, position);
            if next.is_some() {
                assert!(watching.woke.times() > before, "it wasn't woken");
                watching.waits_since = None;
                self.seen.add(Event::WatcherWoken);
            }
        }
    }
}

impl Watching {
    /// Checks that the position isn't ahead of what the watcher received.
    fn check_position(&self) {
        let position = self.position.unwrap_or_default();
        assert_eq!(self.watcher.position(), position);
    }
}

impl Left {
    fn with(namespace: usize, position: Option<u64>, shadow: Shadow) -> Self {
        Self {
            namespace,
            position,
            shadow,
            is_whole: true,
        }
    }
}

/// What a near cache learns from a change by looking the key up. If the version is gone already,
/// another change follows.
fn believe(shadow: &mut Shadow, now: &Shadow, revision: u64, change: &Change) {
    match change {
        Change::Replaced(key) => {
            let key = number(key);
            match now.get(&key).filter(|held| held.version == revision) {
                Some(held) => drop(shadow.insert(key, held.clone())),
                None => drop(shadow.remove(&key)),
            }
        }
        Change::Invalidated(OwnedTarget::Key(key)) => drop(shadow.remove(&number(key))),
        Change::Invalidated(OwnedTarget::Prefix(prefix)) => {
            shadow.retain(|key, _| !names::key(*key).starts_with(&**prefix));
        }
        Change::Invalidated(OwnedTarget::Tag(tag)) => shadow.retain(|_, held| {
            let mut tags = held.tags.iter().map(|tag| TAGS[*tag]);
            tags.all(|one| *one != **tag)
        }),
        Change::Invalidated(OwnedTarget::All) => shadow.clear(),
    }
}

fn number(key: &str) -> usize {
    (0..KEYS)
        .find(|number| names::key(*number) == key)
        .expect("a key")
}
