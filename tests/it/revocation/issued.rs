//! A credential with a time of issue is checked against every invalidation since then.

use std::time::Duration;

use credcache_client::proto::{InvalidateRequest, invalidate_request::Target};
use tonic::Code;
use tonic_types::StatusExt;

use super::{KEY, NANOSECOND, due, issued, matching, others, tagged};
use crate::{
    fixture::{Running, TWO_TIERS, config, within},
    messages::{
        SECOND, aborted, after_start, before_start, fill, get, got, hit, invalidate, invalidated,
        leased, put, stats, stored,
    },
};

#[tokio::test]
async fn what_was_issued_at_the_invalidation_or_before_is_refused() {
    for target in matching() {
        let server = Running::start(&config(TWO_TIERS)).await;
        let mut stub = server.stub().await;
        invalidated(&mut stub, target.clone()).await;
        for earlier in [Duration::ZERO, NANOSECOND, 86_400 * SECOND] {
            let late = issued(before_start(earlier));
            assert_eq!(aborted(&mut stub, late).await, "REVOKED", "{target:?}");
        }
        server.assert_nothing_was_stored().await;
        stored(&mut stub, issued(after_start(NANOSECOND))).await;
        // A Put that states neither a time of issue nor a lease is accepted.
        stored(&mut stub, tagged(put(KEY))).await;
    }
}

#[tokio::test]
async fn what_was_issued_before_an_invalidation_of_something_else_is_stored() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    for target in others() {
        invalidated(&mut stub, target).await;
        stored(&mut stub, issued(before_start(SECOND))).await;
    }
}

#[tokio::test]
async fn refusal_lasts_as_long_as_the_longest_tier() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    invalidated(&mut stub, Target::Key(KEY.into())).await;
    server.time.pass(3600 * SECOND - NANOSECOND);
    server.reclaim();
    let late = issued(before_start(Duration::ZERO));
    assert_eq!(aborted(&mut stub, late).await, "REVOKED");
}

#[tokio::test]
async fn issued_before_says_what_is_refused() {
    for at in [
        before_start(10 * SECOND),
        after_start(Duration::ZERO),
        // The latest accepted time of issue.
        after_start(299 * SECOND),
    ] {
        for target in matching() {
            let server = Running::start(&config(TWO_TIERS)).await;
            let mut stub = server.stub().await;
            stored(&mut stub, due(tagged(put(KEY)))).await;
            let lease = leased(&mut stub, KEY).await;
            let request = InvalidateRequest {
                issued_before: Some(at),
                ..invalidate(target)
            };
            let answer = within(stub.invalidate(request)).await.unwrap();
            // The stored credential is removed whenever it was issued, and the holder of a lease
            // meanwhile loses the right to fill.
            assert_eq!(answer.into_inner().removed, 1);
            let filling = tagged(fill(KEY, &lease));
            assert_eq!(aborted(&mut stub, filling).await, "REVOKED");
            assert_eq!(aborted(&mut stub, issued(at)).await, "REVOKED");
            let later = prost_types::Timestamp {
                nanos: at.nanos + 1,
                ..at
            };
            stored(&mut stub, issued(later)).await;
        }
    }
}

#[tokio::test]
async fn issued_before_too_far_ahead_revokes_nothing() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    stored(&mut stub, tagged(put(KEY))).await;
    for target in matching() {
        let request = InvalidateRequest {
            issued_before: Some(after_start(300 * SECOND + NANOSECOND)),
            ..invalidate(target)
        };
        let status = within(stub.invalidate(request)).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let named = &details.bad_request().unwrap().field_violations[0].field;
        assert_eq!(named, "issued_before");
    }
    hit(got(&mut stub, get(KEY)).await);
    stored(&mut stub, issued(before_start(SECOND))).await;
    assert_eq!(stats(&mut stub).await.invalidations, 0);
}
