//! Holders that take long: extensions, late or repeated fills, and Puts in between.

use std::time::Duration;

use credcache_client::{
    GetOptions, LeaseToken,
    proto::{
        ExtendLeaseRequest, GetRequest, Lease, MissReason, PutRequest, invalidate_request::Target,
    },
};
use tonic::{Code, Status};

use super::{LEASE, abandoned};
use crate::{
    fixture::{Running, Stub, TWO_TIERS, config, within},
    messages::{
        SECOND, aborted, asking, assert_pending, duration, fill, get, got, hit, invalidated,
        leased, miss, outcome, park, put, reason, stats, stored, waiting,
    },
};

const NANOSECOND: Duration = Duration::from_nanos(1);

/// Extends the lease, and returns how long it lasts from now.
async fn extended(
    stub: &mut Stub,
    key: &str,
    lease: &Lease,
    lease_ttl: Option<Duration>,
) -> Result<Duration, Status> {
    let request = ExtendLeaseRequest {
        namespace: "aws".into(),
        key: key.into(),
        lease_token: lease.token.clone(),
        lease_ttl: lease_ttl.map(duration),
    };
    let response = within(stub.extend_lease(request)).await?.into_inner();
    Ok(response.ttl.expect("what is left").try_into().unwrap())
}

/// The reason why the lease isn't extended, with the code ABORTED.
async fn lost(stub: &mut Stub, key: &str, lease: &Lease) -> String {
    let status = extended(stub, key, lease, None).await;
    let status = status.expect_err("a refusal");
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    reason(&status)
}

fn asking_for(key: &str, lease_ttl: Duration) -> GetRequest {
    GetRequest {
        lease_ttl: Some(duration(lease_ttl)),
        ..asking(key)
    }
}

#[tokio::test]
async fn lease_lasts_for_as_long_as_was_asked() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    for (key, ttl) in [("reader", 3 * SECOND), ("writer", 300 * SECOND)] {
        let lease = got(&mut stub, asking_for(key, ttl)).await.lease;
        assert_eq!(lease.expect("a lease").ttl, Some(duration(ttl)));
        server.time.pass(ttl - NANOSECOND);
        assert_pending(&got(&mut stub, get(key)).await);
        server.time.pass(NANOSECOND);
        assert_eq!(
            miss(&got(&mut stub, get(key)).await),
            (MissReason::NotFound, None)
        );
    }
}

#[tokio::test]
async fn one_who_waited_has_the_lease_for_as_long_as_it_asked() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let short = GetRequest {
        lease_ttl: Some(duration(3 * SECOND)),
        ..waiting("reader")
    };
    let first = park(&mut stub, short, 1).await;
    let second = park(&mut stub, waiting("reader"), 2).await;
    server.time.pass(LEASE);
    server.reclaim();
    let lease = outcome(first).await.lease.expect("its turn");
    assert_eq!(lease.ttl, Some(duration(3 * SECOND)));
    // The holder is never heard of again, and delays the next caller no further.
    server.time.pass(3 * SECOND);
    server.reclaim();
    assert!(outcome(second).await.lease.is_some());
}

#[tokio::test]
async fn lease_of_a_slow_fetch_is_kept_by_extending_it() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = got(&mut stub, asking_for("reader", 3 * SECOND)).await.lease;
    let lease = lease.expect("a lease");
    let parked = park(&mut stub, waiting("reader"), 1).await;
    for _ in 0..40 {
        server.time.pass(SECOND);
        server.reclaim();
        let left = extended(&mut stub, "reader", &lease, Some(3 * SECOND)).await;
        assert_eq!(left.unwrap(), 3 * SECOND);
    }
    assert!(!parked.is_finished());
    let version = stored(&mut stub, fill("reader", &lease)).await;
    assert_eq!(hit(outcome(parked).await).version, version);
    assert_eq!(lost(&mut stub, "reader", &lease).await, "LEASE_LOST");
    let leases = stats(&mut stub).await.leases.unwrap();
    assert_eq!((leases.granted, leases.filled, leases.extended), (1, 1, 40));
}

#[tokio::test]
async fn extension_ends_ten_minutes_after_the_grant_and_moves_no_end_nearer() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let left = |lease_ttl| {
        let (mut stub, lease) = (stub.clone(), lease.clone());
        async move {
            let left = extended(&mut stub, "reader", &lease, lease_ttl).await;
            left.unwrap()
        }
    };
    assert_eq!(left(Some(SECOND)).await, LEASE);
    server.time.pass(SECOND);
    assert_eq!(left(None).await, LEASE, "the server's own");
    for _ in 0..2 {
        assert_eq!(left(Some(300 * SECOND)).await, 300 * SECOND);
        server.time.pass(299 * SECOND);
    }
    assert_eq!(left(Some(300 * SECOND)).await, SECOND);
    server.time.pass(SECOND);
    assert_eq!(lost(&mut stub, "reader", &lease).await, "LEASE_LOST");
    assert_eq!(
        aborted(&mut stub, fill("reader", &lease)).await,
        "LEASE_LOST"
    );
}

#[tokio::test]
async fn extension_of_a_lease_that_is_lost_says_why() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let other = leased(&mut stub, "writer").await;
    assert_eq!(lost(&mut stub, "reader", &other).await, "LEASE_LOST");
    assert_eq!(lost(&mut stub, "nobody's", &lease).await, "LEASE_LOST");

    invalidated(&mut stub, Target::Key("reader".into())).await;
    assert_eq!(lost(&mut stub, "reader", &lease).await, "REVOKED");
    assert_eq!(lost(&mut stub, "reader", &lease).await, "LEASE_LOST");
    leased(&mut stub, "reader").await;

    abandoned(&mut stub, "writer", &other, None).await.unwrap();
    assert_eq!(lost(&mut stub, "writer", &other).await, "LEASE_LOST");
}

#[tokio::test]
async fn fill_that_comes_late_is_stored_unless_somebody_else_was_granted_the_lease() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let slow = leased(&mut stub, "reader").await;
    let slower = leased(&mut stub, "writer").await;
    server.time.pass(LEASE + SECOND);
    server.reclaim();
    let version = stored(&mut stub, fill("reader", &slow)).await;
    assert_eq!(hit(got(&mut stub, get("reader")).await).version, version);

    let next = leased(&mut stub, "writer").await;
    assert_eq!(
        aborted(&mut stub, fill("writer", &slower)).await,
        "LEASE_LOST"
    );
    stored(&mut stub, fill("writer", &next)).await;
}

#[tokio::test]
async fn fill_that_comes_late_is_refused_if_it_was_revoked_meanwhile() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let slow = leased(&mut stub, "reader").await;
    server.time.pass(LEASE);
    server.reclaim();
    invalidated(&mut stub, Target::Tag("role/a".into())).await;
    let tagged = PutRequest {
        tags: vec!["role/a".into()],
        ..fill("reader", &slow)
    };
    assert_eq!(aborted(&mut stub, tagged).await, "REVOKED");
    server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn fill_that_is_repeated_is_answered_the_same_and_stored_once() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let first = within(stub.put(fill("reader", &lease))).await.unwrap();
    server.time.pass(SECOND);
    let other_value = PutRequest {
        value: "another".into(),
        ..fill("reader", &lease)
    };
    for repeated in [fill("reader", &lease), other_value] {
        let again = within(stub.put(repeated)).await.unwrap();
        assert_eq!(again.get_ref(), first.get_ref());
    }
    let found = hit(got(&mut stub, get("reader")).await);
    assert_eq!((&*found.value, found.version), (&b"token"[..], 1));
    let stats = stats(&mut stub).await;
    assert_eq!((stats.puts, stats.puts_refused, stats.revision), (1, 0, 1));
    assert_eq!(stats.leases.unwrap().filled, 1);
}

#[tokio::test]
async fn put_without_the_lease_ends_it_and_answers_those_who_wait() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let lease = leased(&mut stub, "reader").await;
    let parked = park(&mut stub, waiting("reader"), 1).await;
    let version = stored(&mut stub, put("reader")).await;
    assert_eq!(hit(outcome(parked).await).version, version);
    assert_eq!(
        aborted(&mut stub, fill("reader", &lease)).await,
        "LEASE_LOST"
    );
    assert_eq!(lost(&mut stub, "reader", &lease).await, "LEASE_LOST");
    assert_eq!(hit(got(&mut stub, get("reader")).await).version, version);
    assert_eq!(stats(&mut stub).await.leases.unwrap().superseded, 1);
}

#[tokio::test]
async fn client_extends_the_lease_it_asked_for() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let options = GetOptions::default()
        .acquire_lease(true)
        .lease_ttl(3 * SECOND);
    let answer = within(client.lookup("aws", "reader", options)).await;
    let lease = answer.unwrap().lease.expect("a lease");
    assert_eq!(lease.ttl, 3 * SECOND);
    server.time.pass(2 * SECOND);
    let left = client.extend_lease("aws", "reader", &lease.token, 3 * SECOND);
    assert_eq!(within(left).await.unwrap(), 3 * SECOND);
    let forged = LeaseToken::new(vec![7; 16]);
    let refused = within(client.extend_lease("aws", "reader", &forged, None)).await;
    assert_eq!(refused.unwrap_err().reason(), Some("LEASE_LOST"));
}
