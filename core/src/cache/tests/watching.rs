//! What a watcher receives: every change, in order, once its effect is complete; or a gap.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::*;

use crate::{
    cache::watch::{WatchEvent, Watcher},
    change_log::journal::{Change, WatchFrom},
    model::{
        invalidation::{Invalidate, OwnedTarget, Target},
        name::{Key, KeyPrefix, Tag},
        time::{BootTime, Now, WallTime},
    },
};

fn watch(cache: &Arc<Cache>, from: WatchFrom) -> Watcher {
    cache
        .clone()
        .watch(namespace("a"), from)
        .expect("room for a watcher")
}

fn next(watcher: &mut Watcher) -> Option<WatchEvent> {
    match watcher.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

fn all(watcher: &mut Watcher) -> Vec<WatchEvent> {
    std::iter::from_fn(|| next(watcher)).collect()
}

fn put_key(cache: &Cache, key: &str) -> u64 {
    let stored = cache.put(of("a", key), Now::default()).expect("room");
    stored.version.number()
}

fn invalidate(cache: &Cache, target: Target<'_>) -> u64 {
    let invalidate = Invalidate {
        namespace: namespace("a"),
        target,
        issued_before: None,
    };
    cache
        .invalidate(invalidate, Now::default())
        .revision
        .number()
}

#[test]
fn changes_are_told_in_the_order_of_their_revisions() {
    let cache = Arc::new(cache());
    put_key(&cache, "before");
    let mut watcher = watch(&cache, WatchFrom::Now);
    assert_eq!(next(&mut watcher), None);
    let mut expected = vec![WatchEvent::Change(
        put_key(&cache, "k"),
        Change::Replaced("k".into()),
    )];
    cache.put(of("b", "k"), Now::default()).expect("room");
    for (target, change) in [
        (
            Target::Key {
                key: Key::parse("k").expect("a key"),
                if_version: None,
            },
            Change::Invalidated(OwnedTarget::Key("k".into())),
        ),
        (
            Target::Prefix(KeyPrefix::parse("p").expect("a prefix")),
            Change::Invalidated(OwnedTarget::Prefix("p".into())),
        ),
        (
            Target::Tag(Tag::parse("t").expect("a tag")),
            Change::Invalidated(OwnedTarget::Tag("t".into())),
        ),
        (Target::All, Change::Invalidated(OwnedTarget::All)),
    ] {
        expected.push(WatchEvent::Change(invalidate(&cache, target), change));
    }
    assert_eq!(all(&mut watcher), expected);
    assert_eq!(watcher.position(), cache.revision());
}

#[test]
fn watch_goes_on_where_it_was() {
    let cache = Arc::new(cache());
    let first = watch(&cache, WatchFrom::Now);
    let revisions: Vec<u64> = (0..5).map(|_| put_key(&cache, "k")).collect();
    drop(first);
    let mut resumed = watch(&cache, WatchFrom::After(revisions[2]));
    let events: Vec<_> = all(&mut resumed)
        .into_iter()
        .map(|event| match event {
            WatchEvent::Change(revision, _) => revision,
            WatchEvent::Gap(_) => panic!("nothing was forgotten"),
        })
        .collect();
    assert_eq!(events, revisions[3..]);
}

#[test]
fn what_is_not_remembered_is_told_as_a_gap() {
    let cache = Arc::new(cache());
    let before = put_key(&cache, "k");
    let after = put_key(&cache, "k");
    // There was no watcher yet, so no change was recorded.
    for from in [
        WatchFrom::After(before),
        WatchFrom::Elsewhere,
        WatchFrom::After(after + 1),
    ] {
        let mut watcher = watch(&cache, from);
        assert_eq!(all(&mut watcher), [WatchEvent::Gap(after)], "{from:?}");
        assert_eq!(watcher.position(), after);
    }
}

#[test]
fn slow_watcher_is_told_of_a_gap_and_then_of_what_follows() {
    let cache = Arc::new(with_limits(Limits {
        // Room for about ten events in each shard.
        max_journal: 8 * 700,
        ..LIMITS
    }));
    let mut watcher = watch(&cache, WatchFrom::Now);
    for _ in 0..100 {
        put_key(&cache, "k");
    }
    assert_eq!(all(&mut watcher), [WatchEvent::Gap(cache.revision())]);
    let next_one = put_key(&cache, "k");
    assert_eq!(
        all(&mut watcher),
        [WatchEvent::Change(next_one, Change::Replaced("k".into()))]
    );
}

#[test]
fn change_is_told_once_its_effect_and_all_before_are_there() {
    let cache = Arc::new(cache());
    let mut watcher = watch(&cache, WatchFrom::Now);
    let revocation = cache.revocation(None, Now::default());
    let entered =
        cache
            .change_log
            .commit_invalidation(namespace("a"), OwnedTarget::All, revocation);
    assert_eq!(next(&mut watcher), None);
    assert!(watcher.is_current(), "every complete change was received");
    let later = put_key(&cache, "k");
    assert_eq!(next(&mut watcher), None, "the sweep isn't done");
    assert!(!watcher.is_current(), "complete changes wait for the sweep");
    assert_eq!(watcher.position(), entered.revision().number() - 1);
    // A watcher that begins now doesn't miss the change either.
    let mut second = watch(&cache, WatchFrom::Now);
    let expected = [
        WatchEvent::Change(
            entered.revision().number(),
            Change::Invalidated(OwnedTarget::All),
        ),
        WatchEvent::Change(later, Change::Replaced("k".into())),
    ];
    drop(entered);
    assert_eq!(all(&mut watcher), expected);
    assert_eq!(all(&mut second), expected);
    assert!(watcher.is_current());
}

#[test]
fn change_of_a_thread_that_panicked_holds_up_no_later_one() {
    let cache = Arc::new(cache());
    let mut watcher = watch(&cache, WatchFrom::Now);
    let revocation = cache.revocation(None, Now::default());
    let change = cache
        .change_log
        .commit_invalidation(namespace("a"), OwnedTarget::All, revocation);
    let first = change.revision().number();
    let later = put_key(&cache, "k");
    assert_eq!(next(&mut watcher), None, "the first is in progress");
    // What unwinding does to a change that was never published.
    drop(change);
    let events = all(&mut watcher);
    let expected = [
        WatchEvent::Change(first, Change::Invalidated(OwnedTarget::All)),
        WatchEvent::Change(later, Change::Replaced("k".into())),
    ];
    assert_eq!(events, expected);
}

#[test]
fn journal_is_kept_for_a_while_and_then_forgotten() {
    let cache = Arc::new(cache());
    drop(watch(&cache, WatchFrom::Now));
    let seen = put_key(&cache, "k");
    put_key(&cache, "k");
    let at = |secs| Now {
        wall: WallTime::default(),
        boot: BootTime::from_boot(Duration::from_secs(secs)),
    };
    cache.reclaim(at(1));
    cache.reclaim(at(60));
    assert_eq!(all(&mut watch(&cache, WatchFrom::After(seen))).len(), 1);
    cache.reclaim(at(100));
    cache.reclaim(at(160));
    let events = all(&mut watch(&cache, WatchFrom::After(seen)));
    assert!(matches!(events[..], [WatchEvent::Gap(_)]), "{events:?}");
}

#[test]
fn watchers_are_bounded() {
    let cache = Arc::new(with_limits(Limits {
        max_watchers: 1,
        ..LIMITS
    }));
    let first = watch(&cache, WatchFrom::Now);
    let second = cache.clone().watch(namespace("a"), WatchFrom::Now);
    assert!(second.is_err());
    drop(first);
    assert!(cache.clone().watch(namespace("a"), WatchFrom::Now).is_ok());
}
