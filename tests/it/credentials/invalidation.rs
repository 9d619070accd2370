//! Once Invalidate has answered, all matching credentials are gone, and no others.

use std::time::Duration;

use credcache_client::{Client, Invalidated, MissReason, Target};

use super::{hit, looked_up, miss, put, put_in, stored};
use crate::fixture::{Running, TWO_TIERS, config, entries, within};

const MINUTE: Duration = Duration::from_secs(60);

async fn invalidated(client: &Client, target: Target) -> Invalidated {
    within(client.invalidate("aws", target)).await.unwrap()
}

/// Credentials of `aws` in both tiers, and the same credential in another namespace.
async fn filled(server: &Running) -> Client {
    let client = server.client().await;
    for (key, ttl) in [
        ("role/a", MINUTE),
        ("role/b", MINUTE * 2),
        ("roles", MINUTE),
    ] {
        let tag = key.split('/').next().unwrap();
        stored(&client, put(key, ttl).tag("all").tag(tag)).await;
    }
    let other = put_in("oauth", "role/a", MINUTE).tag("all").tag("role");
    stored(&client, other).await;
    client
}

/// The keys of `aws` that are left; the credential of the other namespace has to be left.
async fn left(client: &Client) -> Vec<&'static str> {
    assert!(looked_up(client, "oauth", "role/a").await.hit().is_some());
    let mut left = Vec::new();
    for key in ["role/a", "role/b", "roles"] {
        if looked_up(client, "aws", key).await.hit().is_some() {
            left.push(key);
        }
    }
    let stats = within(client.stats(None)).await.unwrap();
    assert_eq!(entries(&stats), left.len() as u64 + 1);
    left
}

#[tokio::test]
async fn each_target_removes_what_matches_in_its_namespace_alone() {
    for (target, removed, expected) in [
        (Target::Key("role/a".into()), 1, &["role/b", "roles"][..]),
        (
            Target::Key("role".into()),
            0,
            &["role/a", "role/b", "roles"],
        ),
        (Target::KeyPrefix("role/".into()), 2, &["roles"]),
        (Target::KeyPrefix("role".into()), 3, &[]),
        (
            Target::KeyPrefix("ole".into()),
            0,
            &["role/a", "role/b", "roles"],
        ),
        (Target::Tag("role".into()), 2, &["roles"]),
        (Target::Tag("all".into()), 3, &[]),
        (Target::Tag("al".into()), 0, &["role/a", "role/b", "roles"]),
        (Target::All, 3, &[]),
    ] {
        let server = Running::start(&config(TWO_TIERS)).await;
        let client = filled(&server).await;
        let first = invalidated(&client, target.clone()).await;
        assert_eq!(first.removed, removed, "{target:?}");
        assert_eq!(left(&client).await, expected, "{target:?}");
        let again = invalidated(&client, target).await;
        assert_eq!(again.removed, 0, "safe to repeat");
        assert!(again.revision > first.revision);
    }
}

#[tokio::test]
async fn version_that_was_refreshed_meanwhile_survives() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let old = stored(&client, put("reader", MINUTE)).await.version;
    let new = stored(&client, put("reader", MINUTE)).await.version;
    let of = |version| Target::KeyVersion("reader".into(), version);
    assert_eq!(invalidated(&client, of(old)).await.removed, 0);
    assert_eq!(hit(&client, "reader").await.version, new);
    assert_eq!(invalidated(&client, of(new)).await.removed, 1);
    assert_eq!(miss(&client, "reader").await, MissReason::Revoked);
}

#[tokio::test]
async fn revision_lies_above_what_was_put_before_and_below_what_is_put_after() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let before = stored(&client, put("reader", MINUTE)).await.version;
    let revision = invalidated(&client, Target::All).await.revision;
    let after = stored(&client, put("reader", MINUTE)).await.version;
    assert!(before < revision && revision < after);
    hit(&client, "reader").await;
}

#[tokio::test]
async fn expired_credential_does_not_count_as_removed() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    stored(&client, put("reader", MINUTE)).await;
    server.time.pass(MINUTE);
    assert_eq!(invalidated(&client, Target::All).await.removed, 0);
}
