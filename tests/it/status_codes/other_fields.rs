//! INVALID_ARGUMENT: each rule that a field of a Get, an ExtendLease, an Invalidate or a Stats can
//! break.

use credcache_client::proto::{
    ExtendLeaseRequest, GetRequest, InvalidateRequest, StatsRequest, invalidate_request::Target,
};
use prost_types::{Duration, Timestamp};
use tonic::Code;

use super::{
    INVALID, assert_refusal, put,
    wrong_values::{no_durations, no_keys, no_namespaces},
};
use crate::fixture::{Running, START, TWO_TIERS, config, within};

#[tokio::test]
async fn get_that_breaks_a_rule_names_every_offending_field() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let get = || GetRequest {
        namespace: "aws".into(),
        key: "qz-key".into(),
        ..Default::default()
    };
    let mut cases: Vec<(GetRequest, &str, &[&str])> = Vec::new();
    for namespace in no_namespaces() {
        cases.push((GetRequest { namespace, ..get() }, INVALID, &["namespace"]));
    }
    for key in no_keys() {
        cases.push((GetRequest { key, ..get() }, INVALID, &["key"]));
    }
    for duration in no_durations() {
        let min_ttl = Some(duration);
        cases.push((GetRequest { min_ttl, ..get() }, INVALID, &["min_ttl"]));
    }
    for duration in no_durations() {
        let wait = Some(duration);
        cases.push((GetRequest { wait, ..get() }, INVALID, &["wait"]));
    }
    for lease_ttl in no_lease_ttls() {
        let lease_ttl = Some(lease_ttl);
        cases.push((GetRequest { lease_ttl, ..get() }, INVALID, &["lease_ttl"]));
    }
    let broken = Some(Duration {
        seconds: -1,
        nanos: 0,
    });
    let every = GetRequest {
        min_ttl: broken,
        wait: broken,
        lease_ttl: broken,
        ..Default::default()
    };
    let fields = &["namespace", "key", "min_ttl", "wait", "lease_ttl"];
    cases.push((every, INVALID, fields));
    for (request, reason, fields) in cases {
        let status = within(stub.get(request)).await.err().expect("a refusal");
        assert_refusal(&status, Code::InvalidArgument, reason, fields);
    }
}

/// Invalid lifetimes of a lease.
fn no_lease_ttls() -> impl Iterator<Item = Duration> {
    let beyond = [(0, 999_999_999), (300, 1), (0, 0)];
    let beyond = beyond.map(|(seconds, nanos)| Duration { seconds, nanos });
    no_durations().chain(beyond)
}

#[tokio::test]
async fn extend_lease_that_breaks_a_rule_names_every_offending_field() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let good = || ExtendLeaseRequest {
        namespace: "aws".into(),
        key: "qz-key".into(),
        lease_token: vec![7; 16].into(),
        lease_ttl: None,
    };
    let mut cases: Vec<(ExtendLeaseRequest, &[&str])> = Vec::new();
    for namespace in no_namespaces() {
        let request = ExtendLeaseRequest {
            namespace,
            ..good()
        };
        cases.push((request, &["namespace"]));
    }
    for key in no_keys() {
        cases.push((ExtendLeaseRequest { key, ..good() }, &["key"]));
    }
    for length in [0, 15, 17] {
        let lease_token = vec![7; length].into();
        let request = ExtendLeaseRequest {
            lease_token,
            ..good()
        };
        cases.push((request, &["lease_token"]));
    }
    for lease_ttl in no_lease_ttls() {
        let lease_ttl = Some(lease_ttl);
        let request = ExtendLeaseRequest {
            lease_ttl,
            ..good()
        };
        cases.push((request, &["lease_ttl"]));
    }
    let every = ExtendLeaseRequest {
        lease_ttl: no_lease_ttls().next(),
        ..Default::default()
    };
    cases.push((every, &["namespace", "key", "lease_token", "lease_ttl"]));
    for (request, fields) in cases {
        let status = within(stub.extend_lease(request)).await;
        let status = status.expect_err("a refusal");
        assert_refusal(&status, Code::InvalidArgument, INVALID, fields);
    }
}

/// A time more than five minutes ahead of the server's clock.
fn too_far_ahead() -> Timestamp {
    Timestamp {
        seconds: START.as_secs().cast_signed() + 301,
        nanos: 0,
    }
}

#[tokio::test]
async fn invalidate_that_breaks_a_rule_names_every_offending_field_and_removes_nothing() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    within(stub.put(put())).await.unwrap();
    let of = |target, if_version| InvalidateRequest {
        namespace: "aws".into(),
        target,
        if_version,
        issued_before: None,
    };
    let key = || Some(Target::Key("qz-key".into()));
    let prefix = |text: &str| Some(Target::KeyPrefix(text.into()));
    let tag = |text: &str| Some(Target::Tag(text.into()));
    let mut cases: Vec<(InvalidateRequest, &str, &[&str])> = vec![
        (of(None, None), INVALID, &["target"]),
        (of(None, Some(1)), INVALID, &["if_version", "target"]),
        (of(Some(Target::All(false)), None), INVALID, &["all"]),
        (
            of(Some(Target::All(true)), Some(1)),
            INVALID,
            &["if_version"],
        ),
        (of(prefix("qz"), Some(1)), INVALID, &["if_version"]),
        (of(tag("qz-tag"), Some(1)), INVALID, &["if_version"]),
        (of(key(), Some(0)), INVALID, &["if_version"]),
        (of(prefix(""), None), INVALID, &["key_prefix"]),
        (
            of(prefix(&"q".repeat(1025)), None),
            INVALID,
            &["key_prefix"],
        ),
        (of(tag(""), None), INVALID, &["tag"]),
        (of(tag(&"q".repeat(129)), None), INVALID, &["tag"]),
        (
            InvalidateRequest {
                issued_before: Some(too_far_ahead()),
                ..of(key(), None)
            },
            INVALID,
            &["issued_before"],
        ),
        (
            InvalidateRequest {
                namespace: "QZ".into(),
                target: Some(Target::Key(String::new())),
                if_version: Some(0),
                issued_before: Some(too_far_ahead()),
            },
            INVALID,
            &["namespace", "if_version", "key", "issued_before"],
        ),
    ];
    for namespace in no_namespaces() {
        let request = InvalidateRequest {
            namespace,
            ..of(key(), None)
        };
        cases.push((request, INVALID, &["namespace"]));
    }
    for text in no_keys() {
        cases.push((of(Some(Target::Key(text)), None), INVALID, &["key"]));
    }
    for (request, reason, fields) in cases {
        let status = within(stub.invalidate(request))
            .await
            .expect_err("a refusal");
        assert_refusal(&status, Code::InvalidArgument, reason, fields);
    }
    let stats = within(server.client().await.stats(None)).await.unwrap();
    assert_eq!((stats.invalidations, stats.invalidated), (0, 0));
    assert!(
        within(server.client().await.get("aws", "qz-key"))
            .await
            .unwrap()
            .hit()
            .is_some()
    );
}

#[tokio::test]
async fn stats_of_what_is_no_namespace_are_refused() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    // An empty namespace asks for the whole server.
    for namespace in no_namespaces().filter(|name| !name.is_empty()) {
        let status = within(stub.stats(StatsRequest { namespace })).await.err();
        let status = status.expect("a refusal");
        assert_refusal(&status, Code::InvalidArgument, INVALID, &["namespace"]);
    }
}
