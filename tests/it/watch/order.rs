//! Each change of the namespace and no other, in the order of revisions.

use credcache_client::proto::{
    InvalidateRequest, PutRequest, invalidate_request, invalidated::Target,
    put_request::Precondition, watch_response::Event,
};
use prost::Message;

use super::{from_now, invalidation, next, next_change, replacement, watching};
use crate::{
    fixture::{Running, TWO_TIERS, config, within},
    messages::{asking, before_start, fill, got, invalidate, invalidated, leased, put, stored},
};

#[tokio::test]
async fn every_change_is_told_as_what_it_was() {
    use invalidate_request::Target as Asked;
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let mut events = watching(&mut stub, from_now()).await;
    let mut expected = Vec::new();
    for key in ["role/a", "role/b", "role/a"] {
        let version = stored(&mut stub, put(key)).await;
        expected.push((replacement(key, version), version));
    }
    let lease = leased(&mut stub, "role/c").await;
    let version = stored(&mut stub, fill("role/c", &lease)).await;
    expected.push((replacement("role/c", version), version));
    for (asked, target) in [
        (Asked::Key("role/a".into()), Target::Key("role/a".into())),
        // Nothing is stored any more, but a fetch may be under way.
        (Asked::Key("role/a".into()), Target::Key("role/a".into())),
        (
            Asked::KeyPrefix("ro".into()),
            Target::KeyPrefix("ro".into()),
        ),
        (Asked::Tag("prod".into()), Target::Tag("prod".into())),
        (Asked::All(true), Target::All(true)),
    ] {
        let revision = invalidated(&mut stub, asked).await.revision;
        expected.push((invalidation(target), revision));
    }
    let version = stored(&mut stub, put("role/a")).await;
    expected.push((replacement("role/a", version), version));
    let of_version = InvalidateRequest {
        if_version: Some(version),
        ..invalidate(Asked::Key("role/a".into()))
    };
    let answer = within(stub.invalidate(of_version)).await.unwrap();
    let revision = answer.into_inner().revision;
    expected.push((invalidation(Target::Key("role/a".into())), revision));
    for event in expected {
        assert_eq!(next_change(&mut events).await, event);
    }
}

#[tokio::test]
async fn what_changes_nothing_and_what_is_elsewhere_is_not_told() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let live = stored(&mut stub, put("live")).await;
    let mut events = watching(&mut stub, from_now()).await;
    assert_eq!(next(&mut events).await.revision, live);

    got(&mut stub, asking("absent")).await;
    let absent = PutRequest {
        precondition: Some(Precondition::IfAbsent(true)),
        ..put("live")
    };
    assert!(within(stub.put(absent)).await.is_err());
    let other_version = InvalidateRequest {
        if_version: Some(live + 1),
        ..invalidate(invalidate_request::Target::Key("live".into()))
    };
    within(stub.invalidate(other_version)).await.unwrap();
    // Namespaces with a common prefix, or with equal positions by hash.
    for namespace in [
        "aw", "awss", "oauth", "a", "b", "c", "d", "e", "f", "g", "h",
    ] {
        let elsewhere = PutRequest {
            namespace: namespace.into(),
            ..put("live")
        };
        stored(&mut stub, elsewhere).await;
        let elsewhere = InvalidateRequest {
            namespace: namespace.into(),
            ..invalidate(invalidate_request::Target::All(true))
        };
        within(stub.invalidate(elsewhere)).await.unwrap();
    }
    let revoked = invalidated(&mut stub, invalidate_request::Target::Key("key".into())).await;
    let late = PutRequest {
        issued_at: Some(before_start(std::time::Duration::ZERO)),
        ..put("key")
    };
    assert!(within(stub.put(late)).await.is_err());
    let version = stored(&mut stub, put("live")).await;
    let expected = invalidation(Target::Key("key".into()));
    assert_eq!(next_change(&mut events).await, (expected, revoked.revision));
    let expected = (replacement("live", version), version);
    assert_eq!(next_change(&mut events).await, expected);
}

#[tokio::test]
async fn no_value_tag_or_attribute_is_in_any_message() {
    const SECRET: &str = "qzsecret";
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let mut events = watching(&mut stub, from_now()).await;
    let request = PutRequest {
        value: SECRET.into(),
        tags: vec![format!("{SECRET}/tag")],
        attributes: [(SECRET.into(), SECRET.into())].into(),
        ..put("reader")
    };
    for _ in 0..3 {
        stored(&mut stub, request.clone()).await;
        invalidated(&mut stub, invalidate_request::Target::Key("reader".into())).await;
    }
    let (mut changes, mut heartbeats) = (0, 0);
    while changes < 6 || heartbeats < 2 {
        let message = next(&mut events).await;
        let bytes = message.encode_to_vec();
        assert!(
            !String::from_utf8_lossy(&bytes).contains(SECRET),
            "{message:?}"
        );
        match message.event {
            Some(Event::Heartbeat(_)) => heartbeats += 1,
            _ => changes += 1,
        }
    }
}
