//! How many ended leases are remembered, and for how long.

use super::*;
use crate::{
    leases::{recent::Recent, token::Token},
    model::time::BootTime,
    work::budget::Budget,
};

const CAPACITY: usize = 3;

fn at(secs: u64) -> BootTime {
    BootTime::from_boot(Duration::from_secs(secs))
}

fn token(number: u8) -> Token {
    Token::from_bytes([number; 16])
}

/// Remembers a number as the token of the key's lease, and as the value.
fn remember(recent: &mut Recent<u8>, key: &str, number: u8, until: u64) {
    let name = ("a".into(), key.into());
    recent.remember(7, name, token(number), number, at(until));
}

fn of(recent: &Recent<u8>, key: &str, number: u8, now: u64) -> Option<u8> {
    recent
        .get(7, name("a", key), token(number), at(now))
        .copied()
}

#[test]
fn full_past_forgets_first_what_it_would_forget_first() {
    let mut recent = Recent::new(CAPACITY);
    for (key, number, until) in [("first", 1, 30), ("second", 2, 10), ("third", 3, 20)] {
        remember(&mut recent, key, number, until);
    }
    remember(&mut recent, "fourth", 4, 5);
    assert_eq!(of(&recent, "second", 2, 0), None);
    remember(&mut recent, "fifth", 5, 40);
    let left = ["first", "second", "third", "fourth", "fifth"]
        .into_iter()
        .zip(1..)
        .filter_map(|(key, number)| of(&recent, key, number, 0));
    assert_eq!(left.collect::<Vec<_>>(), [1, 3, 5]);
}

#[test]
fn last_of_a_key_takes_the_place_of_the_one_before() {
    let mut recent = Recent::new(CAPACITY);
    for number in 0..20 {
        remember(&mut recent, "key", number, 30);
        remember(&mut recent, "other", 1, 10);
        assert_eq!(of(&recent, "key", number, 29), Some(number));
        assert_eq!(of(&recent, "other", 1, 9), Some(1));
    }
    assert_eq!(of(&recent, "key", 18, 0), None);
    assert_eq!(of(&recent, "key", 19, 30), None, "it has run out");
    assert_eq!(recent.forget(7, name("a", "key")), Some(19));
    assert_eq!(recent.forget(7, name("a", "key")), None);
}

#[test]
fn past_is_forgotten_in_time_and_leaves_nothing() {
    let mut recent = Recent::new(64);
    for number in 0..64 {
        remember(&mut recent, &number.to_string(), number, number.into());
    }
    let mut steps = 0;
    while !recent.is_empty() {
        let mut budget = Budget::for_step();
        recent.forget_due(at(100), &mut budget);
        steps += 1;
    }
    assert!(steps > 2, "{steps}: a step is short");
    for number in 0..64 {
        remember(&mut recent, &number.to_string(), number, 200);
    }
    recent.forget_due(at(199), &mut Budget::for_step());
    assert_eq!(of(&recent, "0", 0, 199), Some(0));
}
