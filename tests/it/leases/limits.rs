//! The limits of leases and of waiting callers: calls up to the limit are accepted, and one more is
//! not.

use credcache_client::proto::PutRequest;
use tonic::Code;
use tonic_types::StatusExt;

use super::{LEASE, abandoned};
use crate::{
    fixture::{Running, config, within},
    messages::{
        SECOND, asking, assert_pending, duration, fill, get, got, hit, leased, outcome, park, put,
        reason, stored, waiting,
    },
};

#[tokio::test]
async fn leases_beyond_the_limit_exhaust_a_resource_until_one_is_over() {
    let server = Running::start(&config("limits.max_leases = 2")).await;
    let mut stub = server.stub().await;
    let due = PutRequest {
        refresh_before: Some(duration(30 * SECOND)),
        ..put("due")
    };
    stored(&mut stub, due).await;
    let first = leased(&mut stub, "a").await;
    let second = leased(&mut stub, "b").await;
    let status = within(stub.get(asking("c")))
        .await
        .err()
        .expect("a refusal");
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::ResourceExhausted, "TOO_MANY_LEASES")
    );
    let details = status.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    // Calls that need no lease go on.
    assert_pending(&got(&mut stub, asking("a")).await);
    got(&mut stub, get("c")).await;
    let answer = got(&mut stub, asking("due")).await;
    assert!(answer.lease.is_none());
    hit(answer);

    stored(&mut stub, fill("a", &first)).await;
    leased(&mut stub, "c").await;
    // A key in a cool-down takes a permit as well.
    abandoned(&mut stub, "b", &second, Some(10 * LEASE))
        .await
        .unwrap();
    assert!(within(stub.get(asking("d"))).await.is_err());
    server.time.pass(LEASE);
    server.reclaim();
    leased(&mut stub, "d").await;
}

#[tokio::test]
async fn caller_for_whom_there_is_no_place_to_wait_is_told_to_come_back() {
    let server = Running::start(&config("limits.max_waiters = 1")).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    leased(&mut stub, "writer").await;
    let parked = park(&mut stub, waiting("reader"), 1).await;
    for key in ["reader", "writer"] {
        assert_pending(&got(&mut stub, waiting(key)).await);
    }
    let version = stored(&mut stub, fill("reader", &lease)).await;
    assert_eq!(hit(outcome(parked).await).version, version);
    park(&mut stub, waiting("writer"), 1).await.abort();
}
