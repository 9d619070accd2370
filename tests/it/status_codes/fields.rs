//! INVALID_ARGUMENT: each rule that a field can break.

use credcache_client::proto::{
    GetRequest, InvalidateRequest, PutRequest, StatsRequest,
    invalidate_request::Target,
    put_request::{Lifetime, Precondition},
};
use prost_types::{Duration, Timestamp};
use tonic::Code;

use super::{assert_refusal, put, refused, ttl};
use crate::fixture::{Running, START, TWO_TIERS, config, within};

const INVALID: &str = "INVALID_FIELD";
const UNSUPPORTED: &str = "FIELD_NOT_SUPPORTED";

/// Names that are no namespace.
fn no_namespaces() -> impl Iterator<Item = String> {
    let texts = ["", "-qz", ".qz", "_qz", "QZ", "q z", "qä", "q/z", "q\0z"];
    let long = "q".repeat(64);
    texts.map(str::to_owned).into_iter().chain([long])
}

/// Texts that are no key.
fn no_keys() -> [String; 2] {
    [String::new(), "qz".repeat(512) + "q"]
}

/// Durations that can't be, or are below zero.
fn no_durations() -> impl Iterator<Item = Duration> {
    [
        (-1, 0),
        (0, -1),
        (1, -1),
        (-1, 1),
        (0, 1_000_000_000),
        (0, i32::MIN),
        (315_576_000_001, 0),
        (i64::MAX, 0),
        (i64::MIN, 0),
    ]
    .into_iter()
    .map(|(seconds, nanos)| Duration { seconds, nanos })
}

/// Instants that can't be, or are over.
fn no_expiries() -> impl Iterator<Item = Timestamp> {
    let now = i64::try_from(START.as_secs()).unwrap();
    [
        (now, 0),
        (now - 1, 999_999_999),
        (0, 0),
        (-1, 0),
        (-62_135_596_800, 0),
        (-62_135_596_801, 0),
        (253_402_300_800, 0),
        (i64::MAX, 0),
        (i64::MIN, 0),
        (now + 9, -1),
        (now + 9, 1_000_000_000),
    ]
    .into_iter()
    .map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

fn invalid_puts() -> Vec<(PutRequest, &'static [&'static str])> {
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
    // All at once, in the order of the parsing.
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
        "lease",
    ];
    case(every, &|put| {
        *put = PutRequest {
            namespace: "QZ".into(),
            key: String::new(),
            value: vec![b'q'; 1 << 20].into(),
            lifetime: Some(Lifetime::ExpiresAt(Timestamp::default())),
            issued_at: Some(Timestamp::default()),
            refresh_before: Some(Duration {
                seconds: -1,
                nanos: 0,
            }),
            tags: vec![String::new()],
            attributes: [("q".into(), "z".repeat(4096))].into(),
            tier: "qz-tier".into(),
            lease: "qz-lease".into(),
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
    let unsupported: [(PutRequest, &[&str]); 3] = [
        (
            PutRequest {
                lease: "qz".into(),
                ..put()
            },
            &["lease"],
        ),
        (
            PutRequest {
                issued_at: Some(Timestamp::default()),
                ..put()
            },
            &["issued_at"],
        ),
        (
            PutRequest {
                lease: "qz".into(),
                issued_at: Some(Timestamp::default()),
                ..put()
            },
            &["issued_at", "lease"],
        ),
    ];
    for (request, fields) in unsupported {
        let status = refused(&mut stub, request).await;
        assert_refusal(&status, Code::InvalidArgument, UNSUPPORTED, fields);
    }
    server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn answer_to_a_million_wrong_tags_stays_small() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let request = PutRequest {
        tags: vec![String::new(); 1_000_000],
        ..put()
    };
    let status = refused(&mut server.stub().await, request).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.details().len() < 4096);
    server.assert_nothing_was_stored().await;
}

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
    let acquire_lease = true;
    let wait = Some(Duration::default());
    cases.push((
        GetRequest {
            acquire_lease,
            ..get()
        },
        UNSUPPORTED,
        &["acquire_lease"],
    ));
    cases.push((GetRequest { wait, ..get() }, UNSUPPORTED, &["wait"]));
    let min_ttl = Some(Duration {
        seconds: -1,
        nanos: 0,
    });
    let every = GetRequest {
        min_ttl,
        acquire_lease,
        wait,
        ..Default::default()
    };
    let fields = &["namespace", "key", "min_ttl", "acquire_lease", "wait"];
    cases.push((every, INVALID, fields));
    for (request, reason, fields) in cases {
        let status = within(stub.get(request)).await.err().expect("a refusal");
        assert_refusal(&status, Code::InvalidArgument, reason, fields);
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
                issued_before: Some(Timestamp::default()),
                ..of(key(), None)
            },
            UNSUPPORTED,
            &["issued_before"],
        ),
        (
            InvalidateRequest {
                namespace: "QZ".into(),
                target: Some(Target::Key(String::new())),
                if_version: Some(0),
                issued_before: Some(Timestamp::default()),
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
            .err()
            .expect("a refusal");
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
    // No name at all asks for the whole server.
    for namespace in no_namespaces().filter(|name| !name.is_empty()) {
        let status = within(stub.stats(StatsRequest { namespace })).await.err();
        let status = status.expect("a refusal");
        assert_refusal(&status, Code::InvalidArgument, INVALID, &["namespace"]);
    }
}
