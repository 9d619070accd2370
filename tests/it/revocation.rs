//! Once Invalidate has answered, no credential that was fetched before can be stored.

mod issued;
mod races;

use std::time::Duration;

use credcache_client::proto::{
    BatchPutRequest, InvalidateRequest, MissReason, PutRequest, invalidate_request::Target,
};

use crate::{
    fixture::{Running, Stub, TWO_TIERS, config, within},
    messages::{
        SECOND, aborted, asking, before_start, duration, fill, get, got, hit, invalidate,
        invalidated, leased, miss, outcome, park, put, stats, stored, waiting,
    },
};

const NANOSECOND: Duration = Duration::from_nanos(1);
const KEY: &str = "role/reader";

/// A target of every kind that matches a credential put by [`tagged`].
fn matching() -> [Target; 4] {
    [
        Target::Key(KEY.into()),
        Target::KeyPrefix("role/".into()),
        Target::Tag("prod".into()),
        Target::All(true),
    ]
}

/// As many targets that nearly match.
fn others() -> [Target; 4] {
    [
        Target::Key("role/".into()),
        Target::KeyPrefix("role/reader/".into()),
        Target::Tag("pro".into()),
        Target::Tag(KEY.into()),
    ]
}

fn tagged(request: PutRequest) -> PutRequest {
    PutRequest {
        tags: vec!["team".into(), "prod".into()],
        ..request
    }
}

/// A Put without a lease of a credential that was issued then.
fn issued(at: prost_types::Timestamp) -> PutRequest {
    PutRequest {
        issued_at: Some(at),
        ..tagged(put(KEY))
    }
}

#[tokio::test]
async fn lease_granted_before_fills_nothing_that_matches() {
    for target in matching() {
        let server = Running::start(&config(TWO_TIERS)).await;
        let mut stub = server.stub().await;
        let lease = leased(&mut stub, KEY).await;
        let parked = park(&mut stub, waiting(KEY), 1).await;
        invalidated(&mut stub, target.clone()).await;
        let late = tagged(fill(KEY, &lease));
        assert_eq!(aborted(&mut stub, late).await, "REVOKED", "{target:?}");
        server.assert_nothing_was_stored().await;

        // The lease has ended, and a waiting caller is granted the next one.
        let next = outcome(parked).await.lease.expect("its turn");
        let version = stored(&mut stub, tagged(fill(KEY, &next))).await;
        assert_eq!(hit(got(&mut stub, get(KEY)).await).version, version);
        let stats = stats(&mut stub).await;
        assert_eq!((stats.puts, stats.puts_refused), (1, 1));
        assert_eq!(stats.leases.unwrap().revoked, 1);
    }
}

#[tokio::test]
async fn lease_granted_before_fills_what_does_not_match() {
    for target in others() {
        let server = Running::start(&config(TWO_TIERS)).await;
        let mut stub = server.stub().await;
        let lease = leased(&mut stub, KEY).await;
        invalidated(&mut stub, target).await;
        for target in matching() {
            let elsewhere = InvalidateRequest {
                namespace: "oauth".into(),
                ..invalidate(target)
            };
            within(stub.invalidate(elsewhere)).await.unwrap();
        }
        stored(&mut stub, tagged(fill(KEY, &lease))).await;
    }
}

#[tokio::test]
async fn lease_granted_after_fills() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    for target in matching() {
        invalidated(&mut stub, target).await;
        let lease = leased(&mut stub, KEY).await;
        stored(&mut stub, tagged(fill(KEY, &lease))).await;
    }
}

#[tokio::test]
async fn revoked_key_says_so_until_it_is_filled_and_all_of_it_is_counted() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    stored(&mut stub, tagged(put(KEY))).await;
    let answer = invalidated(&mut stub, Target::Tag("prod".into())).await;
    assert_eq!(answer.removed, 1);
    for _ in 0..2 {
        let (reason, _) = miss(&got(&mut stub, get(KEY)).await);
        assert_eq!(reason, MissReason::Revoked);
    }
    let answer = got(&mut stub, asking(KEY)).await;
    assert_eq!(miss(&answer).0, MissReason::Revoked);
    let lease = answer.lease.expect("the lease");
    stored(&mut stub, fill(KEY, &lease)).await;
    hit(got(&mut stub, get(KEY)).await);

    let stats = stats(&mut stub).await;
    assert_eq!(stats.misses.unwrap().revoked, 3);
    assert_eq!((stats.invalidations, stats.invalidated), (1, 1));
    assert_eq!((stats.puts, stats.puts_refused), (2, 0));
}

/// Makes a Put's credential due at once, so that a hit is granted its lease.
pub(super) fn due(request: PutRequest) -> PutRequest {
    PutRequest {
        refresh_before: Some(duration(3600 * SECOND)),
        ..request
    }
}

/// Invalidates only this version, and returns the number of removed credentials.
async fn invalidated_version(stub: &mut Stub, version: u64) -> u64 {
    let request = InvalidateRequest {
        if_version: Some(version),
        ..invalidate(Target::Key(KEY.into()))
    };
    within(stub.invalidate(request))
        .await
        .unwrap()
        .into_inner()
        .removed
}

#[tokio::test]
async fn version_that_is_no_longer_there_revokes_nothing() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let old = stored(&mut stub, put(KEY)).await;
    let new = stored(&mut stub, due(put(KEY))).await;
    let lease = leased(&mut stub, KEY).await;
    for version in [old, new + 1, u64::MAX] {
        assert_eq!(invalidated_version(&mut stub, version).await, 0);
    }
    hit(got(&mut stub, get(KEY)).await);
    stored(&mut stub, fill(KEY, &lease)).await;
    stored(&mut stub, issued(before_start(SECOND))).await;
}

#[tokio::test]
async fn version_that_is_there_is_revoked_like_its_key() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let version = stored(&mut stub, due(put(KEY))).await;
    let lease = leased(&mut stub, KEY).await;
    assert_eq!(invalidated_version(&mut stub, version).await, 1);
    assert_eq!(aborted(&mut stub, fill(KEY, &lease)).await, "REVOKED");
    let late = issued(before_start(Duration::ZERO));
    assert_eq!(aborted(&mut stub, late).await, "REVOKED");
}

/// More invalidations than are remembered one by one. Fences of the others become wider, never
/// narrower.
#[tokio::test]
async fn forgotten_invalidations_go_on_refusing() {
    let server = Running::start(&config("limits.max_revocations = 8")).await;
    let mut stub = server.stub().await;
    let leases = [
        leased(&mut stub, "key0").await,
        leased(&mut stub, KEY).await,
    ];
    for nth in 0..20 {
        invalidated(&mut stub, Target::Key(format!("key{nth}"))).await;
    }
    assert_eq!(
        aborted(&mut stub, fill("key0", &leases[0])).await,
        "REVOKED"
    );
    assert_eq!(aborted(&mut stub, fill(KEY, &leases[1])).await, "REVOKED");
    for nth in 0..20 {
        let late = PutRequest {
            issued_at: Some(before_start(Duration::ZERO)),
            ..put(&format!("key{nth}"))
        };
        assert_eq!(aborted(&mut stub, late).await, "REVOKED", "{nth}");
    }
    let lease = leased(&mut stub, "key0").await;
    stored(&mut stub, fill("key0", &lease)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wide_invalidation_runs_to_its_end_without_its_caller() {
    const ENTRIES: usize = 4_000;
    let server = Running::start(&config("")).await;
    let mut stub = server.stub().await;
    for round in 1..=10 {
        let request = BatchPutRequest {
            requests: (0..1_000).map(|nth| put(&nth.to_string())).collect(),
        };
        for thousand in 0..ENTRIES / 1_000 {
            let mut request = request.clone();
            for put in &mut request.requests {
                put.key = format!("{thousand}/{}", put.key);
            }
            within(stub.batch_put(request)).await.unwrap();
        }
        assert_eq!(held(&mut stub).await, ENTRIES as u64);
        let mut caller = stub.clone();
        let request = invalidate(Target::All(true));
        let call = tokio::spawn(async move { drop(caller.invalidate(request).await) });
        within(async { while stats(&mut stub).await.invalidations != round {} }).await;
        call.abort();
        within(async { while held(&mut stub).await > 0 {} }).await;
    }
}

/// The number of credentials in the server.
async fn held(stub: &mut Stub) -> u64 {
    let tiers = stats(stub).await.tiers;
    tiers.iter().map(|tier| tier.entries).sum()
}
