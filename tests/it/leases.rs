//! One fetch for the whole mesh: which caller gets a key's lease, which callers wait, and what ends
//! the lease.

mod abandoning;
mod departures;
mod herd;
mod holding;
mod limits;
mod waits;

use std::{collections::HashSet, time::Duration};

use credcache_client::proto::{AbandonLeaseRequest, GetRequest, Lease, MissReason, PutRequest};
use prost::bytes::Bytes;
use tonic::Status;

use crate::{
    fixture::{Running, Stub, TWO_TIERS, config, within},
    messages::{
        SECOND, aborted, asking, assert_pending, duration, fill, get, got, hit, invalidated,
        leased, miss, outcome, park, put, stats, stored, waiting,
    },
};

/// The default lifetime of a lease.
const LEASE: Duration = Duration::from_secs(10);

async fn abandoned(
    stub: &mut Stub,
    key: &str,
    lease: &Lease,
    retry_after: Option<Duration>,
) -> Result<(), Status> {
    let request = AbandonLeaseRequest {
        namespace: "aws".into(),
        key: key.into(),
        lease_token: lease.token.clone(),
        retry_after: retry_after.map(duration),
    };
    within(stub.abandon_lease(request)).await.map(drop)
}

#[tokio::test]
async fn miss_grants_one_lease_and_tells_the_others_when_to_come_back() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let first = got(&mut stub, asking("reader")).await;
    assert_eq!(miss(&first), (MissReason::NotFound, None));
    let lease = first.lease.unwrap();
    assert_eq!(lease.ttl, Some(duration(LEASE)));
    for request in [asking("reader"), get("reader")] {
        assert_pending(&got(&mut stub, request).await);
    }

    let version = stored(&mut stub, fill("reader", &lease)).await;
    let after = got(&mut stub, asking("reader")).await;
    assert!(after.lease.is_none());
    assert_eq!(hit(after).version, version);
}

#[tokio::test]
async fn tokens_are_random() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let mut tokens = HashSet::new();
    let (mut ever_set, mut ever_clear) = (0, 0);
    for nth in 0..64 {
        let token = leased(&mut stub, &format!("key{nth}")).await.token;
        let bits = u128::from_be_bytes((*token).try_into().expect("16 bytes"));
        ever_set |= bits;
        ever_clear |= !bits;
        tokens.insert(token);
    }
    assert_eq!(tokens.len(), 64);
    assert_eq!((ever_set, ever_clear), (u128::MAX, u128::MAX));
}

#[tokio::test]
async fn every_key_of_every_namespace_has_a_lease_of_its_own() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let names = [("ab", "cd"), ("a", "bcd"), ("abc", "d"), ("ab", "cd\0")];
    let of = |(namespace, key): (&str, &str)| GetRequest {
        namespace: namespace.into(),
        ..asking(key)
    };
    let mut leases = Vec::new();
    for name in names {
        leases.push(got(&mut stub, of(name)).await.lease.expect("a lease"));
    }
    let crossed = PutRequest {
        namespace: "a".into(),
        ..fill("bcd", &leases[0])
    };
    assert_eq!(aborted(&mut stub, crossed).await, "LEASE_LOST");
    let own = PutRequest {
        namespace: "ab".into(),
        ..fill("cd", &leases[0])
    };
    stored(&mut stub, own).await;
    for name in &names[1..] {
        assert_pending(&got(&mut stub, of(*name)).await);
    }
}

#[tokio::test]
async fn credential_that_is_due_stays_a_hit_and_one_caller_refreshes_it() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let refreshed_early = |request| PutRequest {
        refresh_before: Some(duration(10 * SECOND)),
        ..request
    };
    let old = stored(&mut stub, refreshed_early(put("reader"))).await;
    server.time.pass(20 * SECOND - Duration::from_nanos(1));
    assert!(got(&mut stub, asking("reader")).await.lease.is_none());

    server.time.pass(Duration::from_nanos(1));
    assert!(got(&mut stub, get("reader")).await.lease.is_none());
    let first = got(&mut stub, asking("reader")).await;
    let lease = first.lease.clone().expect("the lease");
    assert_eq!(hit(first).version, old);
    for request in [asking("reader"), waiting("reader"), get("reader")] {
        let other = got(&mut stub, request).await;
        assert!(other.lease.is_none());
        assert_eq!(hit(other).version, old);
    }

    let new = stored(&mut stub, refreshed_early(fill("reader", &lease))).await;
    let after = got(&mut stub, asking("reader")).await;
    assert!(after.lease.is_none());
    assert_eq!(hit(after).version, new);
}

#[tokio::test]
async fn lease_that_ran_out_goes_to_the_next_who_asks() {
    let server = Running::start(&config("leases.ttl = '2s'")).await;
    let mut stub = server.stub().await;
    let first = leased(&mut stub, "reader").await;
    assert_eq!(first.ttl, Some(duration(2 * SECOND)));
    server.time.pass(2 * SECOND - Duration::from_nanos(1));
    assert_pending(&got(&mut stub, asking("reader")).await);
    server.time.pass(Duration::from_nanos(1));
    let second = leased(&mut stub, "reader").await;
    assert_ne!(first.token, second.token);
    assert_pending(&got(&mut stub, asking("reader")).await);
}

#[tokio::test]
async fn put_under_a_lease_that_is_lost_stores_nothing() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let forged = Lease {
        token: Bytes::from_static(&[7; 16]),
        ttl: None,
    };
    assert_eq!(
        aborted(&mut stub, fill("reader", &forged)).await,
        "LEASE_LOST"
    );

    let filled = leased(&mut stub, "reader").await;
    assert_eq!(
        aborted(&mut stub, fill("reader", &forged)).await,
        "LEASE_LOST"
    );
    assert_eq!(
        aborted(&mut stub, fill("writer", &filled)).await,
        "LEASE_LOST"
    );
    server.assert_nothing_was_stored().await;
    stored(&mut stub, fill("reader", &filled)).await;

    let over = leased(&mut stub, "writer").await;
    server.time.pass(LEASE);
    let replaced = leased(&mut stub, "writer").await;
    assert_eq!(
        aborted(&mut stub, fill("writer", &over)).await,
        "LEASE_LOST"
    );
    abandoned(&mut stub, "writer", &replaced, None)
        .await
        .unwrap();
    assert_eq!(
        aborted(&mut stub, fill("writer", &replaced)).await,
        "LEASE_LOST"
    );
    assert_eq!(stats(&mut stub).await.puts_refused, 5);
}

#[tokio::test]
async fn each_lease_is_counted_by_how_it_ended() {
    use credcache_client::proto::invalidate_request::Target;
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let filled = leased(&mut stub, "filled").await;
    let parked = park(&mut stub, waiting("filled"), 1).await;
    stored(&mut stub, fill("filled", &filled)).await;
    outcome(parked).await;
    for (key, retry_after) in [("given back", None), ("gated", Some(SECOND))] {
        let lease = leased(&mut stub, key).await;
        abandoned(&mut stub, key, &lease, retry_after)
            .await
            .unwrap();
    }
    let revoked = leased(&mut stub, "revoked").await;
    invalidated(&mut stub, Target::All(true)).await;
    assert_eq!(
        aborted(&mut stub, fill("revoked", &revoked)).await,
        "REVOKED"
    );
    leased(&mut stub, "superseded").await;
    stored(&mut stub, put("superseded")).await;
    leased(&mut stub, "ran out").await;
    server.time.pass(LEASE);
    server.reclaim();
    leased(&mut stub, "held").await;

    let leases = stats(&mut stub).await.leases.unwrap();
    assert_eq!((leases.granted, leases.superseded), (7, 1));
    assert_eq!((leases.filled, leases.abandoned), (1, 2));
    assert_eq!((leases.revoked, leases.expired), (1, 1));
    assert_eq!((leases.waits, leases.waiting), (1, 0));
}
