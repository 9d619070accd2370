//! Lifetimes, judged by two clocks, and how they are reported.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use credcache_client::{
    GetOptions, MissReason, Put,
    proto::{self, get_response::Outcome},
};

use super::{NANOSECOND, answer, hit, live, miss, put, reason, stored};
use crate::fixture::{Running, START, TWO_TIERS, config, within};

const HALF_MINUTE: Duration = Duration::from_secs(30);

fn after_start(time: Duration) -> SystemTime {
    UNIX_EPOCH + START + time
}

#[tokio::test]
async fn credential_lives_to_the_nanosecond_and_not_beyond() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    stored(&client, put("reader", HALF_MINUTE)).await;
    server.time.pass(HALF_MINUTE - NANOSECOND);
    live(&server, "reader").await;
    server.time.pass(NANOSECOND);
    assert_eq!(miss(&client, "reader").await, MissReason::Expired);
}

#[tokio::test]
async fn wall_clock_that_steps_forward_ends_a_lifetime() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    stored(&client, put("reader", HALF_MINUTE)).await;
    server.time.step_wall_forward(HALF_MINUTE - NANOSECOND);
    live(&server, "reader").await;
    server.time.step_wall_forward(NANOSECOND);
    assert_eq!(miss(&client, "reader").await, MissReason::Expired);
}

#[tokio::test]
async fn wall_clock_that_steps_back_neither_lengthens_a_lifetime_nor_promises_to() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let reported = stored(&client, put("reader", HALF_MINUTE)).await.expires_at;
    server.time.pass(Duration::from_secs(10));
    server.time.step_wall_back(Duration::from_secs(3600));
    let credential = hit(&client, "reader").await;
    assert!(credential.expires_at <= reported);
    let left = Duration::from_secs(20);
    assert_eq!(
        credential.expires_at,
        after_start(Duration::from_secs(10)) - Duration::from_secs(3600) + left
    );
    assert!(credential.remaining() <= left);
    server.time.pass(left - NANOSECOND);
    live(&server, "reader").await;
    server.time.pass(NANOSECOND);
    assert_eq!(miss(&client, "reader").await, MissReason::Expired);
}

#[tokio::test]
async fn lifetime_goes_on_while_the_machine_is_suspended() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    stored(&client, put("reader", HALF_MINUTE)).await;
    server.time.pass_unseen_by_wall(HALF_MINUTE - NANOSECOND);
    live(&server, "reader").await;
    server.time.pass_unseen_by_wall(NANOSECOND);
    assert_eq!(miss(&client, "reader").await, MissReason::Expired);
}

#[tokio::test]
async fn credential_that_ends_too_soon_for_the_caller_is_a_miss() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    stored(&client, put("reader", HALF_MINUTE)).await;
    let get = async |min_ttl| {
        let options = GetOptions::default().min_ttl(min_ttl);
        within(client.get_with("aws", "reader", options))
            .await
            .unwrap()
    };
    assert!(get(Duration::ZERO).await.hit().is_some());
    let enough = answer(&server, "reader", HALF_MINUTE).await;
    assert!(matches!(enough, Outcome::Credential(_)));
    // The remaining lifetime is shorter when the answer arrives.
    let enough = get(HALF_MINUTE).await;
    assert_eq!(reason(enough), MissReason::TtlTooShort);
    let more = answer(&server, "reader", HALF_MINUTE + NANOSECOND).await;
    assert!(matches!(more, Outcome::Miss(miss) if miss.reason() == proto::MissReason::TtlTooShort));
    server.time.pass(HALF_MINUTE);
    assert_eq!(reason(get(HALF_MINUTE).await), MissReason::Expired);
}

#[tokio::test]
async fn refresh_is_due_as_asked_within_the_lifetime() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let refresh_at = async |put: Put| {
        stored(&client, put).await;
        hit(&client, "reader").await.refresh_at
    };
    let ten = Duration::from_secs(10);
    for (asked, due) in [
        (Duration::ZERO, HALF_MINUTE),
        (ten, HALF_MINUTE - ten),
        (HALF_MINUTE, Duration::ZERO),
        (HALF_MINUTE * 9, Duration::ZERO),
    ] {
        let put = put("reader", HALF_MINUTE).refresh_before(asked);
        assert_eq!(refresh_at(put).await, after_start(due), "{asked:?}");
    }
}

#[tokio::test]
async fn refresh_is_due_by_default_in_the_second_half_of_the_lifetime() {
    let server = Running::start(&config("")).await;
    let client = server.client().await;
    let minute = Duration::from_secs(60);
    // The lifetime, and the time before its end: the minimum, and 10 % more.
    for (lifetime, lead) in [
        (minute * 20, minute * 5),
        (minute * 21, minute * 15 * 7 / 11),
        (minute * 60, minute * 15),
        (minute * 89, minute * 15),
        (minute * 150, minute * 60),
        (minute * 720, minute * 60),
    ] {
        stored(&client, put("reader", lifetime)).await;
        let due = hit(&client, "reader").await.refresh_at;
        let end = after_start(lifetime);
        assert!(due >= after_start(lifetime / 2), "{lifetime:?}");
        assert!(due <= end - lead, "{lifetime:?}");
        assert!(due >= end - lead - lead / 2, "{lifetime:?}");
    }
}
