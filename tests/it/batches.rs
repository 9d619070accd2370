//! A batch of Gets or Puts has the effect of as many single calls.

mod pauses;
mod refusals;
mod room;
mod wire;

use std::time::Duration;

use credcache_client::{Code, Error, Lifetime, Lookup, MissReason, Put, Secret, Stored, proto};

use crate::fixture::{Running, TWO_TIERS, config, within};

const MINUTE: Duration = Duration::from_secs(60);

fn put(key: &str) -> Put {
    put_in("aws", key)
}

fn put_in(namespace: &str, key: &str) -> Put {
    Put::new(namespace, key, Secret::new(key), Lifetime::Ttl(MINUTE))
}

/// The same as a message for the generated client.
fn message(key: &str) -> proto::PutRequest {
    use proto::put_request::Lifetime;
    proto::PutRequest {
        namespace: "aws".into(),
        key: key.into(),
        value: key.to_owned().into(),
        lifetime: Some(Lifetime::Ttl(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        })),
        ..Default::default()
    }
}

fn version(outcome: &Result<Stored, Error>) -> u64 {
    outcome.as_ref().expect("stored").version
}

fn code(outcome: &Result<Stored, Error>) -> Code {
    match outcome {
        Err(Error::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

/// The value of a hit, or the reason of a miss.
fn answer(lookup: &Lookup) -> Result<&[u8], MissReason> {
    match lookup {
        Lookup::Hit(credential) => Ok(credential.value.expose()),
        Lookup::Miss(miss) => Err(miss.reason),
    }
}

fn answers(lookups: &[Lookup]) -> Vec<Result<&[u8], MissReason>> {
    lookups.iter().map(answer).collect()
}

#[tokio::test]
async fn each_key_is_answered_in_its_place_as_get_would() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let brief = Put::new(
        "aws",
        "ended",
        Secret::new("x"),
        Lifetime::Ttl(Duration::from_secs(10)),
    );
    for put in [
        put("b"),
        brief,
        put("a").attribute("region", "eu-west-1").tag("prod"),
    ] {
        within(client.put(put)).await.unwrap();
    }
    server.time.pass(Duration::from_secs(10));

    let keys = ["a", "absent", "b", "ended", "a"];
    let lookups = within(client.batch_get("aws", keys, None)).await.unwrap();
    let (absent, ended) = (Err(MissReason::NotFound), Err(MissReason::Expired));
    let expected = [Ok(&b"a"[..]), absent, Ok(b"b"), ended, Ok(b"a")];
    assert_eq!(answers(&lookups), expected);
    let single = within(client.get("aws", "a")).await.unwrap().hit().unwrap();
    let batched = lookups[0].clone().hit().unwrap();
    assert_eq!(batched.version, single.version);
    assert_eq!(batched.expires_at, single.expires_at);
    assert_eq!(batched.refresh_at, single.refresh_at);
    assert_eq!(batched.tier, single.tier);
    assert_eq!(batched.attributes, single.attributes);
    assert_eq!(batched.tags, ["prod"]);
    assert_eq!(batched.tags, single.tags);

    let min_ttl = Some(MINUTE);
    let lookups = within(client.batch_get("aws", keys, min_ttl))
        .await
        .unwrap();
    let short = Err(MissReason::TtlTooShort);
    assert_eq!(answers(&lookups), [short, absent, short, ended, short]);
}

#[tokio::test]
async fn one_item_that_is_refused_leaves_the_others_alone() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let puts = vec![
        put("a"),
        put(""),
        put("b").if_version(99),
        put("c").single_use(),
        put("a").if_absent(),
        put("d"),
    ];
    let outcomes = within(client.batch_put(puts)).await;
    let refusals: Vec<_> = outcomes[1..5].iter().map(code).collect();
    let expected = [
        Code::InvalidArgument,
        Code::Aborted,
        Code::FailedPrecondition,
        Code::AlreadyExists,
    ];
    assert_eq!(refusals, expected);
    assert!(version(&outcomes[0]) < version(&outcomes[5]));
    let stats = within(client.stats(None)).await.unwrap();
    assert_eq!((stats.puts, stats.puts_refused), (2, 2));
    let lookups = within(client.batch_get("aws", ["a", "b", "c", "d"], None)).await;
    let none = Err(MissReason::NotFound);
    assert_eq!(
        answers(&lookups.unwrap()),
        [Ok(&b"a"[..]), none, none, Ok(b"d")]
    );
}

#[tokio::test]
async fn puts_of_one_key_are_carried_out_in_their_order() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    // The requests take more than one message.
    let puts = (0..1500).map(|nth| {
        let value = Secret::new(nth.to_string());
        Put::new("aws", "same", value, Lifetime::Ttl(MINUTE))
    });
    let outcomes = within(client.batch_put(puts.collect())).await;
    assert_eq!(outcomes.len(), 1500);
    assert!(outcomes.iter().map(version).is_sorted_by(|a, b| a < b));
    let last = within(client.get("aws", "same")).await.unwrap();
    assert_eq!(answer(&last), Ok(&b"1499"[..]));
}

#[tokio::test]
async fn more_than_a_message_may_have_takes_several() {
    let server = Running::start(&config("")).await;
    let client = server.client().await;
    let keys: Vec<String> = (0..2500).map(|nth| format!("key/{nth}")).collect();
    let puts = keys.iter().map(|key| put(key)).collect();
    let outcomes = within(client.batch_put(puts)).await;
    assert_eq!(outcomes.len(), 2500);
    assert!(outcomes.iter().map(version).is_sorted_by(|a, b| a < b));
    let lookups = within(client.batch_get("aws", &keys, None)).await.unwrap();
    assert_eq!(lookups.len(), 2500);
    for (key, lookup) in keys.iter().zip(&lookups) {
        assert_eq!(answer(lookup), Ok(key.as_bytes()));
    }
}

#[tokio::test]
async fn empty_batch_needs_no_server() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    within(server.shut_down()).await.unwrap().unwrap();
    assert!(within(client.batch_put(Vec::new())).await.is_empty());
    let none = within(client.batch_get("aws", [""; 0], None)).await;
    assert!(none.unwrap().is_empty());
}

#[tokio::test]
async fn namespaces_of_a_batch_stay_apart() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let puts = vec![put_in("ab", "cd"), put_in("a", "bcd"), put_in("ab", "x")];
    for outcome in within(client.batch_put(puts)).await {
        outcome.unwrap();
    }
    let none = Err(MissReason::NotFound);
    for (namespace, expected) in [
        ("ab", [Ok(&b"cd"[..]), none, Ok(b"x")]),
        ("a", [none, Ok(b"bcd"), none]),
        ("abc", [none; 3]),
    ] {
        let lookups = within(client.batch_get(namespace, ["cd", "bcd", "x"], None)).await;
        assert_eq!(answers(&lookups.unwrap()), expected, "{namespace}");
    }
}

#[tokio::test]
async fn each_item_is_counted_as_a_call_of_its_own() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let puts = vec![
        put("a"),
        put("a"),
        put("b"),
        put("a").if_absent(),
        put_in("gcp", "a"),
    ];
    within(client.batch_put(puts)).await;
    let keys = ["a", "a", "b", "absent"];
    within(client.batch_get("aws", keys, None)).await.unwrap();
    within(client.batch_get("aws", keys, Some(MINUTE * 2)))
        .await
        .unwrap();
    let stats = within(client.stats(Some("aws"))).await.unwrap();
    assert_eq!((stats.puts, stats.puts_refused), (3, 1));
    assert_eq!((stats.hits, stats.misses.not_found), (3, 2));
    assert_eq!(stats.misses.ttl_too_short, 3);
    let all = within(client.stats(None)).await.unwrap();
    assert_eq!((all.puts, all.hits), (4, 3));
}

#[tokio::test]
async fn revoked_credentials_are_not_in_the_next_batch() {
    use credcache_client::Target;
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let puts = vec![put("a").tag("x"), put("b"), put("c").tag("x")];
    within(client.batch_put(puts)).await;
    let removed = within(client.invalidate("aws", Target::Tag("x".into()))).await;
    assert_eq!(removed.unwrap().removed, 2);
    let lookups = within(client.batch_get("aws", ["a", "b", "c"], None)).await;
    let lookups = lookups.unwrap();
    assert_eq!(answer(&lookups[1]), Ok(&b"b"[..]));
    assert!(answer(&lookups[0]).is_err() && answer(&lookups[2]).is_err());
}
