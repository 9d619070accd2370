//! The sweep compared with a search through all orders of a small history.

use super::*;

/// Whether an order that is consistent with the clock explains every answer. The writes are in the
/// order of their revisions.
fn explained(history: &[Operation], done: &mut Vec<usize>, held: Option<u64>, last: u64) -> bool {
    if done.len() == history.len() {
        return true;
    }
    for (nth, next) in history.iter().enumerate() {
        let left = |other: &usize| !done.contains(other);
        let comes_too_early = (0..history.len())
            .filter(left)
            .any(|other| history[other].span.answered < next.span.invoked);
        if done.contains(&nth) || comes_too_early {
            continue;
        }
        let after = match &next.call {
            Call::Get(get) => match &get.hit {
                Some(hit) if held != Some(hit.version) => continue,
                _ => (held, last),
            },
            call => match call.revision() {
                Some(revision) if revision > last => {
                    let stored = call.stored().map(|(_, stored)| stored.version);
                    (stored, revision)
                }
                _ => continue,
            },
        };
        done.push(nth);
        if explained(history, done, after.0, after.1) {
            return true;
        }
        done.pop();
    }
    false
}

fn drawn(rng: &mut fastrand::Rng) -> Vec<Operation> {
    let writes = rng.u64(1..=4);
    let mut history = Vec::new();
    let at = |rng: &mut fastrand::Rng, near: u64| {
        let begin = near + rng.u64(0..6);
        (begin, begin + rng.u64(0..8))
    };
    let mut puts = Vec::new();
    for revision in 1..=writes {
        let at = at(rng, revision);
        if rng.u8(0..3) == 0 {
            history.push(invalidate(at, Target::All, revision));
        } else {
            puts.push(revision);
            history.push(put(at, revision));
        }
    }
    for _ in 0..rng.u8(0..=5) {
        if let Some(version) = rng.choice(&puts) {
            history.push(hit(at(rng, *version), *version));
        }
    }
    rng.shuffle(&mut history);
    history
}

#[test]
fn sweep_finds_an_order_exactly_where_there_is_one() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut explicable = 0;
    let rounds = 40_000;
    for _ in 0..rounds {
        let history = drawn(&mut rng);
        let expected = explained(&history, &mut Vec::new(), None, 0);
        explicable += u32::from(expected);
        let found = check(&history, Room::Tight);
        assert_eq!(found.is_ok(), expected, "{found:?}\n{history:?}");
    }
    let quarter = rounds / 4;
    assert!(
        (quarter..3 * quarter).contains(&explicable),
        "{explicable} of {rounds}"
    );
}
