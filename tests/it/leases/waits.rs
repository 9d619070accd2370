//! Waiting for another caller's fetch, and the bounds of the wait.

use std::time::Duration;

use credcache_client::proto::{GetRequest, GetResponse, MissReason};
use prost::{Message, bytes::Bytes};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    fixture::{RawClient, Running, TWO_TIERS, config, framed, within},
    messages::{
        SECOND, assert_pending, duration, fill, get, got, hit, leased, miss, outcome, park, put,
        reason, stored, until_waiting, waiting,
    },
};

#[tokio::test]
async fn fill_answers_all_who_wait() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let without_lease = GetRequest {
        acquire_lease: false,
        ..waiting("reader")
    };
    let parked = [
        park(&mut stub, waiting("reader"), 1).await,
        park(&mut stub, without_lease, 2).await,
    ];
    let version = stored(&mut stub, fill("reader", &lease)).await;
    for parked in parked {
        let answer = outcome(parked).await;
        assert!(answer.lease.is_none());
        assert_eq!(hit(answer).version, version);
    }
    until_waiting(&mut stub, 0).await;
}

/// Time passes while the callers wait. With a clock that was read before the wait, the remaining
/// lifetime would seem longer than the whole lifetime.
#[tokio::test]
async fn lifetime_left_after_a_wait_is_told_by_the_clock_as_it_is_then() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let parked = park(&mut stub, waiting("reader"), 1).await;
    server.time.pass(5 * SECOND);
    stored(&mut stub, fill("reader", &lease)).await;
    let credential = hit(outcome(parked).await);
    assert_eq!(credential.ttl, Some(duration(30 * SECOND)));
}

#[tokio::test]
async fn put_of_one_without_the_lease_answers_them_as_well() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let parked = park(&mut stub, waiting("reader"), 1).await;
    stored(&mut stub, put("writer")).await;
    assert!(!parked.is_finished());
    let version = stored(&mut stub, put("reader")).await;
    assert_eq!(hit(outcome(parked).await).version, version);
}

#[tokio::test]
async fn without_a_fetch_there_is_nothing_to_wait_for() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let request = GetRequest {
        acquire_lease: false,
        ..waiting("reader")
    };
    let answer = got(&mut stub, request.clone()).await;
    assert_eq!(miss(&answer), (MissReason::NotFound, None));
    leased(&mut stub, "another").await;
    let answer = got(&mut stub, request).await;
    assert_eq!(miss(&answer), (MissReason::NotFound, None));
}

#[tokio::test]
async fn wait_ends_after_as_long_as_was_asked() {
    const WAIT: Duration = Duration::from_millis(200);
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let begun = Instant::now();
    let request = GetRequest {
        wait: Some(duration(WAIT)),
        ..waiting("reader")
    };
    assert_pending(&got(&mut stub, request).await);
    assert!(begun.elapsed() >= WAIT);
}

/// The client keeps no time itself.
#[tokio::test]
async fn pending_comes_before_the_callers_deadline_passes() {
    const TIMEOUT: Duration = Duration::from_millis(1500);
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let mut client = RawClient::connect(server.address).await;
    let begun = Instant::now();
    let path = "/credcache.v1.CredentialCacheService/Get";
    let (response, mut body) = client
        .begin(path, &[("grpc-timeout", "1500m")])
        .await
        .unwrap();
    let message = framed(&waiting("reader").encode_to_vec());
    body.send_data(Bytes::from(message), true).unwrap();
    let response = within(response).await.unwrap();
    let status = Status::from_header_map(response.headers());
    assert!(status.is_none(), "refused: {status:?}");
    let mut body = response.into_body();
    let message = within(body.data()).await.unwrap().unwrap();
    assert_pending(&GetResponse::decode(&message[5..]).unwrap());
    assert!(begun.elapsed() >= TIMEOUT - TIMEOUT / 10);
    assert!(within(body.data()).await.is_none());
    let trailers = within(body.trailers()).await.unwrap().unwrap();
    let status = Status::from_header_map(&trailers).unwrap();
    assert_eq!(status.code(), Code::Ok);
}

#[tokio::test]
async fn drain_sends_those_who_wait_elsewhere_at_once() {
    let server = Running::start(&config("shutdown.drain_timeout = '1h'")).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let parked = [
        park(&mut stub, waiting("reader"), 1).await,
        park(&mut stub, waiting("reader"), 2).await,
    ];
    let end = server.shut_down();
    for parked in parked {
        let status = within(parked).await.unwrap().err().expect("a refusal");
        assert_eq!(
            (status.code(), &*reason(&status)),
            (Code::Unavailable, "DRAINING")
        );
        let details = status.get_error_details();
        assert!(details.retry_info().unwrap().retry_delay.is_some());
    }
    within(end).await.unwrap().unwrap();
}

#[tokio::test]
async fn waiting_changes_nothing_for_those_who_only_look() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let parked = park(&mut stub, waiting("reader"), 1).await;
    assert_pending(&got(&mut stub, get("reader")).await);
    assert!(!parked.is_finished());
}
