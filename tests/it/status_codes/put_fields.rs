//! INVALID_ARGUMENT: each rule that a field of a Put can break.

use credcache_client::proto::{
    PutRequest,
    put_request::{Lifetime, Precondition},
};
use prost_types::{Duration, Timestamp};
use tonic::Code;

use super::{
    INVALID, assert_refusal, put, refused, ttl,
    wrong_values::{no_durations, no_expiries, no_keys, no_namespaces},
};
use crate::{
    fixture::{Running, TWO_TIERS, config},
    messages::after_start,
};

/// Just more than an issuer's clock may be ahead of the server's.
const AHEAD: std::time::Duration = std::time::Duration::from_nanos(300_000_000_001);

pub(crate) fn invalid_puts() -> Vec<(PutRequest, &'static [&'static str])> {
    let mut puts: Vec<(PutRequest, &[&str])> = Vec::new();
    let mut case = |fields, change: &dyn Fn(&mut PutRequest)| {
        let mut request = put();
        change(&mut request);
        puts.push((request, fields));
    };
    for namespace in no_namespaces() {
        case(&["namespace"], &|put| put.namespace = namespace.clone());
    }
    for key in no_keys() {
        case(&["key"], &|put| put.key = key.clone());
    }
    case(&["value"], &|put| {
        put.value = vec![b'q'; (64 << 10) + 1].into()
    });
    case(&["value"], &|put| put.value = Vec::new().into());
    case(&["tags"], &|put| {
        put.tags = (0..17).map(|n| format!("qz{n}")).collect()
    });
    case(&["tags[1]", "tags[3]"], &|put| {
        put.tags = ["qz1", "", "qz2", &"q".repeat(129)]
            .map(String::from)
            .into();
    });
    case(&["attributes"], &|put| {
        put.attributes = (0..17).map(|n| (format!("qz{n}"), String::new())).collect();
    });
    case(&["attributes"], &|put| {
        put.attributes = [("q".into(), "z".repeat(4096))].into();
    });
    case(&["lifetime"], &|put| put.lifetime = None);
    case(&["ttl"], &|put| put.lifetime = Some(ttl(0)));
    for duration in no_durations() {
        case(&["ttl"], &|put| {
            put.lifetime = Some(Lifetime::Ttl(duration))
        });
        case(&["refresh_before"], &|put| {
            put.refresh_before = Some(duration)
        });
    }
    for at in no_expiries() {
        case(&["expires_at"], &|put| {
            put.lifetime = Some(Lifetime::ExpiresAt(at))
        });
    }
    case(&["tier"], &|put| put.tier = "qz-tier".into());
    case(&["if_version"], &|put| {
        put.precondition = Some(Precondition::IfVersion(0))
    });
    case(&["issued_at"], &|put| {
        put.issued_at = Some(Timestamp {
            seconds: 253_402_300_800,
            nanos: 0,
        });
    });
    case(&["issued_at"], &|put| {
        put.issued_at = Some(after_start(AHEAD));
    });
    for length in [1, 15, 17] {
        case(&["lease_token"], &|put| {
            put.lease_token = vec![b'q'; length].into()
        });
    }
    // All errors at once, in the order of the parsing.
    let every = &[
        "namespace",
        "key",
        "value",
        "tags[0]",
        "attributes",
        "expires_at",
        "refresh_before",
        "tier",
        "if_version",
        "issued_at",
        "lease_token",
    ];
    case(every, &|put| {
        *put = PutRequest {
            namespace: "QZ".into(),
            key: String::new(),
            value: vec![b'q'; 1 << 20].into(),
            lifetime: Some(Lifetime::ExpiresAt(Timestamp::default())),
            issued_at: Some(Timestamp {
                seconds: 0,
                nanos: -1,
            }),
            refresh_before: Some(Duration {
                seconds: -1,
                nanos: 0,
            }),
            tags: vec![String::new()],
            attributes: [("q".into(), "z".repeat(4096))].into(),
            tier: "qz-tier".into(),
            lease_token: "qz-lease".into(),
            precondition: Some(Precondition::IfVersion(0)),
            single_use: true,
        };
    });
    puts
}

#[tokio::test]
async fn put_that_breaks_a_rule_names_every_offending_field() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    for (request, fields) in invalid_puts() {
        let status = refused(&mut stub, request).await;
        assert_refusal(&status, Code::InvalidArgument, INVALID, fields);
    }
    server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn answer_to_many_wrong_tags_stays_small() {
    let server = Running::start(&config(TWO_TIERS)).await;
    // The second is more than the message of a Put may be.
    for (count, code) in [
        (100_000, Code::InvalidArgument),
        (1_000_000, Code::ResourceExhausted),
    ] {
        let request = PutRequest {
            tags: vec![String::new(); count],
            ..put()
        };
        let status = refused(&mut server.stub().await, request).await;
        assert_eq!(status.code(), code);
        assert!(status.details().len() < 4096);
    }
    server.assert_nothing_was_stored().await;
}
