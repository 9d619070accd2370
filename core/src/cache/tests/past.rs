//! How many ended leases are remembered, and for how long.

use super::*;
use crate::{
    leases::{recent::Recent, token::Token},
    model::time::BootTime,
    work::budget::Budget,
};

const MOST: usize = 3;

fn at(secs: u64) -> BootTime {
    BootTime::from_boot(Duration::from_secs(secs))
}

fn token(number: u8) -> Token {
    Token::from_bytes([number; 16])
}

/// Remembers a number as the token of the key's lease, and as the value.
fn remember(past: &mut Recent<u8>, key: &str, number: u8, until: u64) {
    let name = ("a".into(), key.into());
    past.remember(7, name, token(number), number, at(until));
}

fn of(past: &Recent<u8>, key: &str, number: u8, now: u64) -> Option<u8> {
    past.get(7, name("a", key), token(number), at(now)).copied()
}

#[test]
fn full_past_forgets_first_what_it_would_forget_first() {
    let mut past = Recent::new(MOST);
    for (key, number, until) in [("first", 1, 30), ("second", 2, 10), ("third", 3, 20)] {
        remember(&mut past, key, number, until);
    }
    remember(&mut past, "fourth", 4, 5);
    assert_eq!(of(&past, "second", 2, 0), None);
    remember(&mut past, "fifth", 5, 40);
    let left = ["first", "second", "third", "fourth", "fifth"]
        .into_iter()
        .zip(1..)
        .filter_map(|(key, number)| of(&past, key, number, 0));
    assert_eq!(left.collect::<Vec<_>>(), [1, 3, 5]);
}

#[test]
fn last_of_a_key_takes_the_place_of_the_one_before() {
    let mut past = Recent::new(MOST);
    for number in 0..20 {
        remember(&mut past, "key", number, 30);
        remember(&mut past, "other", 1, 10);
        assert_eq!(of(&past, "key", number, 29), Some(number));
        assert_eq!(of(&past, "other", 1, 9), Some(1));
    }
    assert_eq!(of(&past, "key", 18, 0), None);
    assert_eq!(of(&past, "key", 19, 30), None, "it has run out");
    assert_eq!(past.forget(7, name("a", "key")), Some(19));
    assert_eq!(past.forget(7, name("a", "key")), None);
}

#[test]
fn past_is_forgotten_in_time_and_leaves_nothing() {
    let mut past = Recent::new(64);
    for number in 0..64 {
        remember(&mut past, &number.to_string(), number, number.into());
    }
    let mut steps = 0;
    while !past.is_empty() {
        let mut budget = Budget::for_step();
        past.forget_due(at(100), &mut budget);
        steps += 1;
    }
    assert!(steps > 2, "{steps}: a step is short");
    for number in 0..64 {
        remember(&mut past, &number.to_string(), number, 200);
    }
    past.forget_due(at(199), &mut Budget::for_step());
    assert_eq!(of(&past, "0", 0, 199), Some(0));
}
