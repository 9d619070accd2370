//! Results that don't fit into one message.

use credcache_client::{
    Lifetime, MissReason, Put, Secret,
    proto::{BatchGetRequest, MissReason as Wire, batch_get_result::Outcome},
};
use prost::Message;

use super::{MINUTE, answer, version};
use crate::fixture::{Running, config, within};

const MESSAGE: usize = 4 << 20;
const LARGE: usize = 64 << 10;
/// The credentials are together much larger than one message.
const COUNT: usize = 150;

fn key(nth: usize) -> String {
    format!("large/{nth}")
}

/// A credential of the largest size, recognisable by its value.
fn large(nth: usize) -> Put {
    let value = Secret::new(value(nth));
    Put::new("aws", key(nth), value, Lifetime::Ttl(MINUTE))
}

fn value(nth: usize) -> Vec<u8> {
    nth.to_be_bytes().repeat(LARGE / size_of::<usize>())
}

#[tokio::test]
async fn batches_larger_than_a_message_come_whole_and_in_order() {
    let server = Running::start(&config("")).await;
    let client = server.client().await;
    let mut puts: Vec<_> = (0..COUNT).map(large).collect();
    let small = Put::new("aws", "small", Secret::new("small"), Lifetime::Ttl(MINUTE));
    puts.push(small);
    let outcomes = within(client.batch_put(puts)).await;
    assert_eq!(outcomes.len(), COUNT + 1);
    assert!(outcomes.iter().map(version).is_sorted_by(|a, b| a < b));

    let keys = (0..COUNT).map(key);
    let keys = keys.chain(["absent".into(), "small".into(), key(0)]);
    let lookups = within(client.batch_get("aws", keys, None)).await.unwrap();
    assert_eq!(lookups.len(), COUNT + 3);
    for (nth, lookup) in lookups[..COUNT].iter().enumerate() {
        assert_eq!(answer(lookup), Ok(&value(nth)[..]), "{nth}");
    }
    assert_eq!(answer(&lookups[COUNT]), Err(MissReason::NotFound));
    assert_eq!(answer(&lookups[COUNT + 1]), Ok(&b"small"[..]));
    assert_eq!(answer(&lookups[COUNT + 2]), Ok(&value(0)[..]));
}

/// Tags and value take about half of each credential.
#[tokio::test]
async fn tags_take_room_in_a_response_too() {
    const PUTS: usize = 1000;
    const EACH: usize = 16 * (1 + 2 + 128) + 2048;
    let server = Running::start(&config("")).await;
    let client = server.client().await;
    let tags: Vec<_> = (0..16).map(|nth| format!("{nth:0128}")).collect();
    let puts = (0..PUTS).map(|nth| {
        let value = Secret::new(vec![7; 2048]);
        let put = Put::new("aws", key(nth), value, Lifetime::Ttl(MINUTE));
        tags.iter().fold(put, |put, tag| put.tag(tag.as_str()))
    });
    let outcomes = within(client.batch_put(puts.collect())).await;
    assert_eq!(outcomes.iter().map(version).count(), PUTS);

    let mut stub = server.stub().await;
    // First all credentials fit into one message, then they don't: each has 60 bytes besides.
    for (count, fits) in [(900, true), (PUTS, false)] {
        let request = BatchGetRequest {
            namespace: "aws".into(),
            keys: (0..count).map(key).collect(),
            min_ttl: None,
        };
        let answer = within(stub.batch_get(request)).await.unwrap().into_inner();
        let length = answer.encoded_len();
        assert!(length <= MESSAGE, "{length}");
        let (mut hits, mut left_out) = (0, 0);
        for result in answer.results {
            match result.outcome.expect("an outcome") {
                Outcome::Credential(credential) => {
                    assert_eq!(credential.tags, tags);
                    hits += 1;
                }
                Outcome::Miss(miss) => {
                    assert_eq!(miss.reason(), Wire::NoRoom);
                    left_out += 1;
                }
            }
        }
        assert_eq!(hits + left_out, count);
        assert_eq!(left_out == 0, fits, "{hits} of {count}");
        assert!(fits || length > MESSAGE - 32 * PUTS - 2 * EACH, "{length}");
    }
}

#[tokio::test]
async fn response_is_filled_and_the_rest_are_misses_for_want_of_room() {
    let server = Running::start(&config("")).await;
    let client = server.client().await;
    let mut puts: Vec<_> = (0..COUNT).map(large).collect();
    let small = Put::new("aws", "small", Secret::new("small"), Lifetime::Ttl(MINUTE));
    puts.push(small);
    within(client.batch_put(puts)).await;

    let mut keys: Vec<_> = (0..COUNT).map(key).collect();
    keys.extend(["absent".into(), "small".into()]);
    let request = BatchGetRequest {
        namespace: "aws".into(),
        keys,
        min_ttl: None,
    };
    let answer = within(server.stub().await.batch_get(request)).await;
    let answer = answer.unwrap().into_inner();
    let length = answer.encoded_len();
    assert!(length <= MESSAGE, "{length}");
    // One more credential would not have fitted.
    assert!(length > MESSAGE - LARGE - 16 * 1024, "{length}");

    let mut outcomes = answer.results.into_iter().map(|result| result.outcome);
    let fitted = length / LARGE;
    for nth in 0..COUNT {
        match outcomes.next().unwrap().expect("an outcome") {
            Outcome::Credential(credential) => {
                assert!(nth < fitted, "{nth}");
                assert_eq!(credential.value, value(nth));
            }
            Outcome::Miss(miss) => {
                assert!(nth >= fitted, "{nth}");
                assert_eq!(miss.reason(), Wire::NoRoom);
            }
        }
    }
    // A miss or a small credential still fits.
    let absent = outcomes.next().unwrap();
    assert!(matches!(absent, Some(Outcome::Miss(miss)) if miss.reason() == Wire::NotFound));
    let small = outcomes.next().unwrap();
    assert!(matches!(small, Some(Outcome::Credential(it)) if it.value == "small"));
}

#[tokio::test]
async fn largest_credential_there_can_be_always_has_room() {
    let tables = "limits.max_value = '1MiB'\n\
        [[tier]]\nname = 'one'\nmax_ttl = '1m'\ncapacity = '64MiB'\n";
    let server = Running::start(&config(tables)).await;
    let client = server.client().await;
    let value = vec![7; 1 << 20];
    let puts = (0..4).map(|nth| {
        Put::new(
            "aws",
            key(nth),
            Secret::new(value.clone()),
            Lifetime::Ttl(MINUTE),
        )
        .attribute("a", "x".repeat(4095))
        .tag("t".repeat(128))
    });
    for outcome in within(client.batch_put(puts.collect())).await {
        outcome.unwrap();
    }
    let mut keys = vec![String::from("absent"); 996];
    keys.extend((0..4).map(key));
    let lookups = within(client.batch_get("aws", keys, None)).await.unwrap();
    for lookup in &lookups[996..] {
        assert_eq!(answer(lookup), Ok(&value[..]));
    }
}
