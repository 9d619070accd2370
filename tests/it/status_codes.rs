//! The contract's table of errors, row by row: the code, the reason and every offending field.
//! Nothing is stored, and nothing that the caller sent is repeated.

mod other_fields;
pub(crate) mod put_fields;
mod wrong_values;

use std::time::Duration;

use credcache_client::proto::{
    PutRequest,
    put_request::{Lifetime, Precondition},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::fixture::{Running, Stub, TWO_TIERS, config, within};

/// A mark in every text that a caller sends, which no error may repeat.
const MARK: &str = "qz";

/// The reason of an error for a field that breaks a rule.
const INVALID: &str = "INVALID_FIELD";
/// A valid Put.
fn put() -> PutRequest {
    PutRequest {
        namespace: "aws".into(),
        key: "qz-key".into(),
        value: "qz-value".into(),
        lifetime: Some(ttl(30)),
        tags: vec!["qz-tag".into()],
        attributes: [("qz-name".into(), "qz-text".into())].into(),
        ..Default::default()
    }
}

fn ttl(seconds: i64) -> Lifetime {
    Lifetime::Ttl(prost_types::Duration { seconds, nanos: 0 })
}

async fn refused(stub: &mut Stub, request: PutRequest) -> Status {
    within(stub.put(request)).await.expect_err("a refusal")
}

/// Checks a status and all fields that it names, in the order of the request.
fn assert_refusal(status: &Status, code: Code, reason: &str, fields: &[&str]) {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!((&*info.domain, &*info.reason), ("credcache", reason));
    let violations = details.bad_request().map(|bad| &bad.field_violations[..]);
    let named: Vec<_> = violations
        .unwrap_or_default()
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(named, fields, "{status:?}");
    let raw = String::from_utf8_lossy(status.details());
    for text in [status.message(), &raw] {
        assert!(!text.contains(MARK), "{text}");
    }
}

#[tokio::test]
async fn credential_for_single_use_is_refused() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let request = PutRequest {
        single_use: true,
        ..put()
    };
    let status = refused(&mut server.stub().await, request).await;
    assert_refusal(&status, Code::FailedPrecondition, "SINGLE_USE", &[]);
    server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn live_key_refuses_if_absent_until_it_expires() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let request = PutRequest {
        precondition: Some(Precondition::IfAbsent(true)),
        ..put()
    };
    let first = within(stub.put(request.clone()))
        .await
        .unwrap()
        .into_inner();
    let status = refused(&mut stub, request.clone()).await;
    assert_refusal(&status, Code::AlreadyExists, "KEY_LIVE", &[]);
    server.time.pass(Duration::from_secs(30));
    let second = within(stub.put(request)).await.unwrap().into_inner();
    assert!(second.version > first.version);
    let stats = within(server.client().await.stats(None)).await.unwrap();
    assert_eq!((stats.puts, stats.puts_refused), (2, 1));
}

#[tokio::test]
async fn version_that_is_not_live_is_not_replaced() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let conditional = |version| PutRequest {
        precondition: Some(Precondition::IfVersion(version)),
        ..put()
    };
    let status = refused(&mut stub, conditional(1)).await;
    assert_refusal(&status, Code::Aborted, "VERSION_DIFFERS", &[]);
    server.assert_nothing_was_stored().await;

    let live = within(stub.put(put())).await.unwrap().into_inner().version;
    for version in [live + 1, live + 2, u64::MAX] {
        let status = refused(&mut stub, conditional(version)).await;
        assert_refusal(&status, Code::Aborted, "VERSION_DIFFERS", &[]);
    }
    let next = within(stub.put(conditional(live))).await.unwrap();
    assert!(next.into_inner().version > live);
    server.time.pass(Duration::from_secs(30));
    let status = refused(&mut stub, conditional(live + 1)).await;
    assert_refusal(&status, Code::Aborted, "VERSION_DIFFERS", &[]);
}

#[tokio::test]
async fn namespaces_beyond_the_limit_exhaust_a_resource() {
    let tables = format!("limits.max_namespaces = 2\n{TWO_TIERS}");
    let server = Running::start(&config(&tables)).await;
    let mut stub = server.stub().await;
    let of = |namespace: &str| PutRequest {
        namespace: namespace.into(),
        ..put()
    };
    within(stub.put(of("first"))).await.unwrap();
    within(stub.put(of("second"))).await.unwrap();
    let status = refused(&mut stub, of("third")).await;
    assert_refusal(&status, Code::ResourceExhausted, "TOO_MANY_NAMESPACES", &[]);
    within(stub.put(of("first"))).await.unwrap();
    let stats = within(server.client().await.stats(None)).await.unwrap();
    assert_eq!((stats.puts, stats.namespaces), (3, 2));
}

#[tokio::test]
async fn message_above_four_mebibytes_exhausts_a_resource() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let request = PutRequest {
        value: vec![b'q'; 4 << 20].into(),
        ..put()
    };
    let status = refused(&mut server.stub().await, request).await;
    assert_refusal(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]);
    server.assert_nothing_was_stored().await;
}
