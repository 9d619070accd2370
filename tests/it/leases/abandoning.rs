//! Holders that give their lease back, and failing issuers.

use std::time::Duration;

use tonic::Code;

use super::abandoned;
use crate::{
    fixture::{Running, TWO_TIERS, config},
    messages::{
        SECOND, asking, assert_pending, fill, got, hit, leased, miss, outcome, park, reason,
        stored, waiting,
    },
};

#[tokio::test]
async fn lease_is_given_back_by_its_holder_alone() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let other = leased(&mut stub, "writer").await;
    let status = abandoned(&mut stub, "reader", &other, None).await;
    let status = status.expect_err("another key's");
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::Aborted, "LEASE_LOST")
    );
    assert_pending(&got(&mut stub, asking("reader")).await);

    abandoned(&mut stub, "reader", &lease, None).await.unwrap();
    let again = abandoned(&mut stub, "reader", &lease, None).await;
    assert_eq!(again.expect_err("given back").code(), Code::Aborted);
    leased(&mut stub, "reader").await;
}

#[tokio::test]
async fn abandoned_lease_goes_to_the_first_who_waits() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let first = park(&mut stub, waiting("reader"), 1).await;
    let second = park(&mut stub, waiting("reader"), 2).await;
    abandoned(&mut stub, "reader", &lease, None).await.unwrap();
    let next = outcome(first).await.lease.expect("its turn");
    assert_ne!(next.token, lease.token);
    assert!(!second.is_finished());
    let version = stored(&mut stub, fill("reader", &next)).await;
    assert_eq!(hit(outcome(second).await).version, version);
}

#[tokio::test]
async fn failing_issuer_is_left_alone_for_as_long_as_was_asked() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let parked = park(&mut stub, waiting("reader"), 1).await;
    abandoned(&mut stub, "reader", &lease, Some(30 * SECOND))
        .await
        .unwrap();
    let waiter = outcome(parked).await;
    for response in [waiter, got(&mut stub, waiting("reader")).await] {
        assert!(response.lease.is_none());
        let retry_after = miss(&response).1.expect("when to come back");
        assert!(
            (30..=33).contains(&retry_after.as_secs()),
            "{retry_after:?}"
        );
    }
    leased(&mut stub, "writer").await;

    server.time.pass(30 * SECOND - Duration::from_nanos(1));
    assert!(got(&mut stub, asking("reader")).await.lease.is_none());
    server.time.pass(3 * SECOND);
    leased(&mut stub, "reader").await;
}

#[tokio::test]
async fn no_issuer_is_left_alone_for_longer_than_five_minutes() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    abandoned(&mut stub, "reader", &lease, Some(3600 * SECOND))
        .await
        .unwrap();
    let (_, retry_after) = miss(&got(&mut stub, asking("reader")).await);
    let retry_after = retry_after.expect("when to come back");
    assert!(
        (270..=300).contains(&retry_after.as_secs()),
        "{retry_after:?}"
    );
    server.time.pass(300 * SECOND);
    leased(&mut stub, "reader").await;
}
