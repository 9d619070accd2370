//! Conditional Puts.

use super::*;

/// A conditional Put, which was stored as this version or refused.
fn put_if(at: (u64, u64), precondition: Precondition, outcome: Result<u64, Refusal>) -> Operation {
    let mut operation = put(at, 1);
    if let Call::Put(put) = &mut operation.call {
        put.value = b"conditional".into();
        put.precondition = Some(precondition);
        put.outcome = outcome.map(|version| Stored {
            version,
            expires_at: END,
        });
    }
    operation
}

#[test]
fn put_replaces_only_the_version_it_names() {
    let second = |asked| put_if((4, 5), Precondition::Version(asked), Ok(3));
    let puts = [put((0, 1), 1), put((2, 3), 2)];
    let after = |last| [&puts[..], &[last]].concat();
    assert_eq!(broken(&after(second(2))), None);
    assert_eq!(broken(&after(second(1))), Some(Rule::Replaces));
    assert_eq!(broken(&[second(1)]), Some(Rule::Replaces));
}

#[test]
fn put_in_place_of_what_was_invalidated_is_found() {
    // The revision of the invalidation counts, whether or not it was answered by then.
    for answered in [3, 4, 9] {
        let history = |target, revision, version| {
            broken(&[
                put((0, 1), 1),
                invalidate((2, answered), target, revision),
                put_if((4, 5), Precondition::Version(1), Ok(version)),
            ])
        };
        let tag = |tag: &str| Target::Tag(tag.into());
        assert_eq!(history(Target::All, 2, 3), Some(Rule::Replaces));
        assert_eq!(history(tag("tag"), 2, 3), Some(Rule::Replaces));
        assert_eq!(history(tag("other"), 2, 3), None);
    }
    let after = [
        put((0, 1), 1),
        invalidate((2, 9), Target::All, 3),
        put_if((4, 5), Precondition::Version(1), Ok(2)),
    ];
    assert_eq!(broken(&after), None, "the Invalidate comes after");
}

#[test]
fn refusal_for_another_version_is_as_good_as_a_miss() {
    let refused = Err(Refusal::VersionDiffers);
    let history = [
        put((0, 1), 1),
        put_if((2, 3), Precondition::Version(1), refused),
    ];
    assert_eq!(broken(&history), None);
}

#[test]
fn refusal_because_of_a_live_key_needs_one() {
    let refused = |at| put_if(at, Precondition::Absent, Err(Refusal::Exists));
    assert_eq!(broken(&[refused((2, 3))]), Some(Rule::RefusedByLive));
    assert_eq!(broken(&[put((0, 1), 1), refused((2, 3))]), None);
    assert_eq!(broken(&[put((0, 9), 1), refused((2, 3))]), None);
    let later = [refused((2, 3)), put((4, 5), 1)];
    assert_eq!(broken(&later), Some(Rule::RefusedByLive));
    let ended = [put_until((0, 1), 1, 2), refused((2, 3))];
    assert_eq!(broken(&ended), Some(Rule::RefusedByLive));
    let gone = [
        put((0, 1), 1),
        invalidate((2, 3), Target::All, 2),
        refused((4, 5)),
    ];
    assert_eq!(broken(&gone), Some(Rule::RefusedByLive));
}

#[test]
fn refusal_tells_of_a_state_as_a_hit_does() {
    // Only the second Put can be the reason of the refusal, so it was stored already.
    let history = [
        put((0, 1), 1),
        invalidate((2, 3), Target::All, 2),
        put((4, 20), 3),
        put_if((5, 6), Precondition::Absent, Err(Refusal::Exists)),
        invalidate((2, 30), Target::All, 4),
        hit((7, 8), 3),
    ];
    assert_eq!(broken(&history), None);
    let mut back = history.to_vec();
    back[1].span.answered = 9;
    back[5] = hit((7, 8), 1);
    assert_eq!(broken(&back), None, "the first may still have been live");
    back[1].span.answered = 3;
    assert_eq!(broken(&back), Some(Rule::Order));
}

#[test]
fn put_stored_as_the_first_needs_an_absence() {
    let stored = put_if((4, 5), Precondition::Absent, Ok(3));
    let history = [put((0, 1), 1), stored.clone()];
    assert_eq!(broken(&history), Some(Rule::StoredByAbsence));
    assert!(
        check(&history, Room::Tight).is_ok(),
        "the credential was evicted"
    );
    let ended = [put_until((0, 1), 1, 5), stored.clone()];
    assert_eq!(broken(&ended), None);
    let invalidated = [
        put((0, 1), 1),
        invalidate((2, 9), Target::All, 2),
        stored.clone(),
    ];
    assert_eq!(broken(&invalidated), None);
    let too_late = [put((0, 1), 1), stored, invalidate((2, 9), Target::All, 4)];
    assert_eq!(broken(&too_late), Some(Rule::StoredByAbsence));
}
