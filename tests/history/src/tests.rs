//! Histories written by hand, valid and invalid, and the sweep compared with a search through all
//! orders.

mod every_order;
mod leases;
mod preconditions;

use crate::*;

/// Later than the beginning and the end of any operation here, except in tests of lifetimes.
const END: u64 = 1_000_000;

fn name(namespace: &str, key: &str) -> Name {
    Name {
        namespace: namespace.into(),
        key: key.into(),
    }
}

/// An operation that lasts from `at.0` to `at.1`, on the shared clock and on the wall clock.
fn operation(at: (u64, u64), call: Call) -> Operation {
    let span = Span {
        invoked: at.0,
        answered: at.1,
        wall_before: at.0,
        wall_after: at.1,
    };
    Operation { span, call }
}

fn value(version: u64) -> Vec<u8> {
    format!("value {version}").into()
}

/// An unconditional Put of "key" with the tag "tag".
fn put(at: (u64, u64), version: u64) -> Operation {
    put_until(at, version, END)
}

fn put_until(at: (u64, u64), version: u64, expires_at: u64) -> Operation {
    let put = Put {
        name: name("ns", "key"),
        value: value(version),
        tags: vec!["tag".into()],
        lease: None,
        issued_at: None,
        precondition: None,
        outcome: Ok(Stored {
            version,
            expires_at,
        }),
    };
    operation(at, Call::Put(put))
}

fn hit(at: (u64, u64), version: u64) -> Operation {
    hit_with(at, name("ns", "key"), version, value(version), END)
}

fn hit_with(
    at: (u64, u64),
    name: Name,
    version: u64,
    value: Vec<u8>,
    expires_at: u64,
) -> Operation {
    let hit = Some(Hit {
        version,
        value,
        expires_at,
    });
    let lease = None;
    let get = Get {
        name,
        min_ttl: 0,
        hit,
        lease,
    };
    operation(at, Call::Get(get))
}

fn miss(at: (u64, u64)) -> Operation {
    let name = name("ns", "key");
    let get = Get {
        name,
        min_ttl: 0,
        hit: None,
        lease: None,
    };
    operation(at, Call::Get(get))
}

fn invalidate(at: (u64, u64), target: Target, revision: u64) -> Operation {
    let invalidate = Invalidate {
        namespace: "ns".into(),
        target,
        issued_before: None,
        removed: 1,
        revision,
    };
    operation(at, Call::Invalidate(invalidate))
}

fn broken(history: &[Operation]) -> Option<Rule> {
    check(history, Room::Ample).err().map(|found| found.rule)
}

#[test]
fn what_a_register_could_answer_is_right() {
    let histories = [
        vec![],
        vec![miss((0, 1))],
        // A hit during the Put, and a miss after it.
        vec![put((0, 9), 1), hit((1, 2), 1), miss((3, 4))],
        // Hits of two concurrent Puts, in the order of their revisions.
        vec![
            put((0, 9), 2),
            put((0, 9), 1),
            hit((1, 2), 1),
            hit((3, 4), 2),
        ],
        // A hit of the old version during a Put or an invalidation.
        vec![put((0, 1), 1), put((2, 9), 2), hit((3, 4), 1)],
        vec![
            put((0, 1), 1),
            invalidate((2, 9), Target::All, 2),
            hit((3, 4), 1),
        ],
        // A Put during an invalidation with a lower revision stays.
        vec![
            invalidate((0, 9), Target::All, 1),
            put((1, 2), 2),
            hit((10, 11), 2),
        ],
        // A Get that began before the invalidation was answered.
        vec![
            put((0, 1), 1),
            invalidate((2, 5), Target::All, 2),
            hit((5, 9), 1),
        ],
    ];
    for history in histories {
        assert_eq!(broken(&history), None, "{history:?}");
    }
}

#[test]
fn miss_needs_a_reason_where_there_is_room_alone() {
    let plain = vec![put((0, 1), 1), hit((2, 3), 1), miss((4, 5)), hit((6, 7), 1)];
    assert_eq!(broken(&plain), Some(Rule::Kept));
    assert!(check(&plain, Room::Tight).is_ok());
    let excused = [
        vec![put_until((0, 1), 1, 5), miss((4, 5))],
        vec![put((0, 1), 1), put((2, 9), 2), miss((4, 5))],
        vec![
            put((0, 1), 1),
            invalidate((2, 5), Target::All, 2),
            miss((5, 6)),
        ],
        vec![put((0, 4), 1), miss((4, 5))],
    ];
    for history in excused {
        assert_eq!(broken(&history), None, "{history:?}");
    }
    let newer_taken = [
        put((0, 1), 1),
        invalidate((2, 5), Target::All, 2),
        put((3, 4), 3),
        miss((6, 7)),
    ];
    assert_eq!(broken(&newer_taken), Some(Rule::Kept));
}

#[test]
fn stale_read_is_found() {
    let history = [put((0, 1), 1), put((2, 3), 2), hit((4, 5), 1)];
    assert_eq!(broken(&history), Some(Rule::Order));
}

#[test]
fn readers_may_not_go_back_even_while_the_put_runs() {
    let history = [
        put((0, 1), 1),
        put((2, 9), 2),
        hit((3, 4), 2),
        hit((5, 6), 1),
    ];
    assert_eq!(broken(&history), Some(Rule::Order));
}

#[test]
fn read_after_an_answered_invalidate_is_found_for_every_target() {
    let targets = [
        Target::Key("key".into()),
        Target::KeyVersion("key".into(), 1),
        Target::Prefix("k".into()),
        Target::Tag("tag".into()),
        Target::All,
    ];
    for target in targets {
        let history = [
            put((0, 1), 1),
            invalidate((2, 3), target.clone(), 2),
            hit((4, 5), 1),
        ];
        assert_eq!(broken(&history), Some(Rule::Order), "{target:?}");
    }
}

#[test]
fn what_an_invalidate_does_not_match_stays() {
    let targets = [
        Target::Key("key2".into()),
        Target::KeyVersion("key".into(), 7),
        Target::Prefix("key2".into()),
        Target::Tag("other".into()),
    ];
    for target in targets {
        let history = [
            put((0, 1), 1),
            invalidate((2, 3), target.clone(), 2),
            hit((4, 5), 1),
        ];
        assert_eq!(broken(&history), None, "{target:?}");
    }
    let mut elsewhere = invalidate((2, 3), Target::All, 2);
    if let Call::Invalidate(invalidate) = &mut elsewhere.call {
        invalidate.namespace = "n".into();
    }
    let history = [put((0, 1), 1), elsewhere, hit((4, 5), 1)];
    assert_eq!(broken(&history), None);
}

#[test]
fn read_from_the_future_is_found() {
    let history = [hit((0, 1), 1), put((2, 3), 1)];
    assert_eq!(broken(&history), Some(Rule::Past));
    assert_eq!(broken(&[hit((0, 1), 1)]), Some(Rule::Put));
}

#[test]
fn wrong_value_for_a_version_is_found() {
    let history = [
        put((0, 1), 1),
        put((0, 1), 2),
        hit_with((2, 3), name("ns", "key"), 2, value(1), END),
    ];
    assert_eq!(broken(&history), Some(Rule::Value));
}

#[test]
fn value_of_another_namespace_or_key_is_found() {
    for other in [name("n", "key"), name("ns", "ke"), name("n", "skey")] {
        let history = [put((0, 1), 1), hit_with((2, 3), other, 1, value(1), END)];
        assert_eq!(broken(&history), Some(Rule::Name));
    }
}

#[test]
fn lost_order_of_revisions_is_found() {
    let history = [put((0, 1), 2), invalidate((2, 3), Target::All, 1)];
    assert_eq!(broken(&history), Some(Rule::RevisionsInOrder));
    let history = [put((0, 1), 1), invalidate((0, 1), Target::All, 1)];
    assert_eq!(broken(&history), Some(Rule::OneRevisionEach));
}

#[test]
fn hit_at_or_past_the_end_is_found() {
    let ends = |at| {
        let until = hit_with(at, name("ns", "key"), 1, value(1), 10);
        broken(&[put_until((0, 1), 1, 10), until])
    };
    assert_eq!(ends((9, 20)), None, "judged while it was live");
    assert_eq!(ends((10, 20)), Some(Rule::Lifetime));
    let longer = [put_until((0, 1), 1, 10), hit((2, 3), 1)];
    assert_eq!(broken(&longer), Some(Rule::LifetimeKept));
}
