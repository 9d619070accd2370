//! Leases, times of issue, and the invalidations that apply to them.

use super::*;

const TTL: u64 = 100;

/// A miss that is answered with the lease of "key".
fn granted(at: (u64, u64), lease: u8) -> Operation {
    let mut operation = miss(at);
    if let Call::Get(get) = &mut operation.call {
        get.lease = Some(Granted {
            token: [lease; 16],
            ttl: TTL,
        });
    }
    operation
}

fn fill(at: (u64, u64), version: u64, lease: u8) -> Operation {
    put_with(put(at, version), |put| put.lease = Some([lease; 16]))
}

fn issued(at: (u64, u64), version: u64, issued_at: u64) -> Operation {
    put_with(put(at, version), |put| put.issued_at = Some(issued_at))
}

fn put_with(mut operation: Operation, change: impl FnOnce(&mut Put)) -> Operation {
    if let Call::Put(put) = &mut operation.call {
        change(put);
    }
    operation
}

fn extend(at: (u64, u64), lease: u8, left: u64) -> Operation {
    let extend = Extend {
        name: name("ns", "key"),
        lease: [lease; 16],
        left: (left > 0).then_some(left),
    };
    operation(at, Call::Extend(extend))
}

fn abandon(at: (u64, u64), lease: u8, accepted: bool) -> Operation {
    let abandon = Abandon {
        name: name("ns", "key"),
        lease: [lease; 16],
        accepted,
    };
    operation(at, Call::Abandon(abandon))
}

#[test]
fn lease_is_used_by_whom_it_was_granted_to_and_once() {
    let grant = granted((0, 1), 1);
    let use_of = |uses: &[Operation]| broken(&[std::slice::from_ref(&grant), uses].concat());
    assert_eq!(use_of(&[fill((2, 3), 1, 1)]), None);
    assert_eq!(use_of(&[fill((2, 3), 1, 2)]), Some(Rule::Granted));
    assert_eq!(use_of(&[abandon((2, 3), 2, true)]), Some(Rule::Granted));
    assert_eq!(use_of(&[abandon((2, 3), 2, false)]), None);
    let twice = [fill((2, 3), 1, 1), abandon((4, 5), 1, true)];
    assert_eq!(use_of(&twice), Some(Rule::UsedOnce));
    let again = [granted((2, 3), 1)];
    assert_eq!(use_of(&again), Some(Rule::GrantedOnce));
    assert_eq!(use_of(&[extend((2, 3), 2, 5)]), Some(Rule::Granted));
    assert_eq!(use_of(&[extend((2, 3), 2, 0)]), None);
    let elsewhere = put_with(fill((2, 3), 1, 1), |put| put.name = name("ns", "other"));
    assert_eq!(use_of(&[elsewhere]), Some(Rule::Granted));
}

#[test]
fn second_lease_beside_one_that_is_held_is_found() {
    let beside = |between: &[Operation], at| {
        let leases = [&[granted((0, 1), 1)][..], between, &[granted(at, 2)]];
        broken(&leases.concat())
    };
    assert_eq!(beside(&[], (10, 11)), Some(Rule::OneHolder));
    assert_eq!(beside(&[], (1, 11)), None, "it may have been the first");
    assert_eq!(beside(&[], (TTL - 2, TTL - 1)), Some(Rule::OneHolder));
    assert_eq!(beside(&[], (TTL - 1, TTL)), None, "the first may be over");
    assert_eq!(beside(&[abandon((5, 6), 1, true)], (7, 8)), None);
    assert_eq!(
        beside(&[abandon((9, 12), 1, true)], (7, 8)),
        Some(Rule::OneHolder)
    );
    let key = |key: &str| Target::Key(key.into());
    assert_eq!(beside(&[invalidate((5, 6), key("key"), 1)], (7, 8)), None);
    assert_eq!(
        beside(&[invalidate((5, 6), key("other"), 1)], (7, 8)),
        Some(Rule::OneHolder)
    );
}

#[test]
fn fill_that_is_repeated_is_one_write() {
    let judged = |second: Operation, more: &[Operation]| {
        let fills = [granted((0, 1), 1), fill((2, 5), 1, 1), second];
        broken(&[&fills, more].concat())
    };
    let again = || fill((6, 9), 1, 1);
    assert_eq!(judged(again(), &[]), None);
    assert_eq!(judged(fill((6, 9), 2, 1), &[]), Some(Rule::UsedOnce));
    let cut = put_with(put_until((6, 9), 1, 50), |put| put.lease = Some([1; 16]));
    assert_eq!(judged(cut, &[]), Some(Rule::UsedOnce));
    // The fill doesn't replace the newer version.
    let newer = [put((6, 7), 2), hit((10, 11), 2)];
    assert_eq!(judged(again(), &newer), None);
    let older = [put((6, 7), 2), hit((10, 11), 1)];
    assert_eq!(judged(again(), &older), Some(Rule::Order));
    // The fill was stored by the time its first answer was sent.
    assert_eq!(
        judged(fill((3, 4), 1, 1), &[miss((5, 6))]),
        Some(Rule::Kept)
    );
}

#[test]
fn use_of_a_lease_that_was_lost_is_found() {
    let uses: [fn((u64, u64)) -> Operation; 3] = [
        |at| fill(at, 9, 1),
        |at| extend(at, 1, 5),
        |at| abandon(at, 1, true),
    ];
    let lost = |between: &[Operation], used: Operation| {
        broken(&[&[granted((0, 1), 1)], between, &[used]].concat())
    };
    for used in uses {
        // Even long after the first lease ran out.
        let other = [granted((TTL, TTL + 1), 2)];
        assert_eq!(lost(&other, used((TTL + 2, TTL + 3))), Some(Rule::Current));
        assert_eq!(lost(&other, used((TTL + 1, TTL + 3))), None);
        assert_eq!(lost(&[], used((TTL + 2, TTL + 3))), None, "it is late");
        let without = [put((2, 3), 1)];
        assert_eq!(lost(&without, used((4, 5))), Some(Rule::Current));
        assert_eq!(lost(&[put((1, 3), 1)], used((4, 5))), None);
    }
    let revisions = |put_as, fill_as| lost(&[put((2, 9), put_as)], fill((3, 8), fill_as, 1));
    assert_eq!(revisions(1, 2), Some(Rule::Current));
    assert_eq!(revisions(2, 1), None, "it was replaced");
    for ending in [
        fill((2, 3), 1, 1),
        abandon((2, 3), 1, true),
        invalidate((2, 3), Target::All, 1),
    ] {
        let ending = [ending];
        assert_eq!(lost(&ending, extend((4, 5), 1, 5)), Some(Rule::Current));
        assert_eq!(lost(&ending, extend((3, 5), 1, 5)), None);
    }
    let elsewhere = [invalidate((2, 3), Target::Key("other".into()), 1)];
    assert_eq!(lost(&elsewhere, extend((4, 5), 1, 5)), None);
    let of_version = |removed| {
        let mut version = invalidate((2, 3), Target::KeyVersion("key".into(), 7), 1);
        if let Call::Invalidate(invalidate) = &mut version.call {
            invalidate.removed = removed;
        }
        lost(&[version], extend((4, 5), 1, 5))
    };
    assert_eq!(of_version(0), None, "it took nothing");
    assert_eq!(of_version(1), Some(Rule::Current));
}

#[test]
fn second_lease_beside_one_that_was_extended_is_found() {
    let beside = |left, between: &[Operation], at| {
        let first = [granted((0, 1), 1), extend((50, 60), 1, left)];
        broken(&[&first, between, &[granted(at, 2)]].concat())
    };
    let late = TTL + 20;
    assert_eq!(beside(0, &[], (late, late + 1)), None);
    assert_eq!(beside(TTL, &[], (late, late + 1)), Some(Rule::OneHolder));
    let its_end = 50 + TTL;
    assert_eq!(beside(TTL, &[], (its_end - 1, its_end)), None);
    let superseded = [put_until((70, 71), 1, 80)];
    assert_eq!(beside(TTL, &superseded, (late, late + 1)), None);
}

#[test]
fn fill_that_met_a_fence_is_found() {
    let across = |target: Target, revision, version| {
        broken(&[
            granted((0, 1), 1),
            invalidate((2, 9), target, revision),
            fill((3, 8), version, 1),
        ])
    };
    let prefix = |prefix: &str| Target::Prefix(prefix.into());
    for target in [
        Target::Key("key".into()),
        prefix("k"),
        Target::Tag("tag".into()),
        Target::All,
    ] {
        assert_eq!(across(target.clone(), 1, 2), Some(Rule::Fenced));
        assert_eq!(across(target, 2, 1), None, "it was swept");
    }
    assert_eq!(across(prefix("x"), 1, 2), None);
    assert_eq!(across(Target::Tag("other".into()), 1, 2), None);
    let took = |removed| {
        let mut fence = invalidate((2, 9), Target::KeyVersion("key".into(), 7), 1);
        if let Call::Invalidate(invalidate) = &mut fence.call {
            invalidate.removed = removed;
        }
        broken(&[granted((0, 1), 1), fence, fill((3, 8), 2, 1)])
    };
    assert_eq!(took(0), None, "it took nothing");
    assert_eq!(took(1), Some(Rule::Fenced));

    let later = [
        granted((0, 3), 1),
        invalidate((2, 4), Target::All, 1),
        fill((5, 6), 2, 1),
    ];
    assert_eq!(
        broken(&later),
        None,
        "the lease may have been granted after it"
    );
}

#[test]
fn lease_beside_what_an_invalidation_takes_comes_before_that() {
    let fence = |target: Target| invalidate((2, 9), target, 2);
    let judged = |lease: Operation, then: &[Operation], target| {
        let history = [&[put((0, 1), 1), fence(target), lease], then];
        broken(&[history.concat(), vec![fill((20, 21), 3, 1)]].concat())
    };
    let tag = |tag: &str| Target::Tag(tag.into());
    let with_hit = || {
        let mut lease = hit((3, 4), 1);
        if let (Call::Get(get), Call::Get(other)) = (&mut lease.call, granted((3, 4), 1).call) {
            get.lease = other.lease;
        }
        lease
    };
    for target in [Target::All, tag("tag")] {
        assert_eq!(judged(with_hit(), &[], target), Some(Rule::Fenced));
    }
    assert_eq!(judged(with_hit(), &[], tag("other")), None);
    // A later hit shows the violation as well.
    let miss = || granted((3, 4), 1);
    assert_eq!(judged(miss(), &[], Target::All), None);
    let later = [hit((5, 6), 1)];
    assert_eq!(judged(miss(), &later, Target::All), Some(Rule::Fenced));
    assert_eq!(judged(miss(), &[hit((4, 6), 1)], Target::All), None);
}

#[test]
fn invalidation_of_a_live_key_says_that_it_removed_it() {
    let removed = |key: Target, removed, before: &[Operation]| {
        let mut operation = invalidate((4, 9), key, 3);
        if let Call::Invalidate(invalidate) = &mut operation.call {
            invalidate.removed = removed;
        }
        broken(&[&[put((0, 1), 1)], before, &[operation]].concat())
    };
    let key = || Target::Key("key".into());
    assert_eq!(removed(key(), 1, &[]), None);
    assert_eq!(removed(key(), 0, &[]), Some(Rule::Removed));
    let version = Target::KeyVersion("key".into(), 1);
    assert_eq!(removed(version, 0, &[]), Some(Rule::Removed));
    let another = Target::KeyVersion("key".into(), 2);
    assert_eq!(removed(another, 0, &[]), None);
    let earlier = [invalidate((2, 9), Target::All, 2)];
    assert_eq!(removed(key(), 0, &earlier), None);
    let ended = [put_until((2, 3), 2, 5)];
    assert_eq!(removed(key(), 0, &ended), None);
}

#[test]
fn put_of_what_was_issued_before_is_found() {
    let before = |issued_before| {
        let mut fence = invalidate((10, 11), Target::All, 1);
        if let Call::Invalidate(invalidate) = &mut fence.call {
            invalidate.issued_before = issued_before;
        }
        fence
    };
    let judged = |fence, issued_at| broken(&[fence, issued((12, 13), 2, issued_at)]);
    assert_eq!(judged(before(None), 10), Some(Rule::Issued));
    assert_eq!(judged(before(None), 11), None);
    assert_eq!(judged(before(Some(5)), 5), Some(Rule::Issued));
    assert_eq!(judged(before(Some(5)), 6), None);
    assert_eq!(judged(before(Some(50)), 50), Some(Rule::Issued));
}
