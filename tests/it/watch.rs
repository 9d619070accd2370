//! The changes of a namespace are sent in order and once each, or as a gap.

mod ends;
mod order;
mod races;

use credcache_client::proto::{
    Invalidated, PutRequest, Replaced, WatchRequest, WatchResponse, invalidate_request,
    invalidated::Target, watch_response::Event,
};
use tokio::time::Instant;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;

use crate::{
    fixture::{Running, Stub, TWO_TIERS, config, within},
    messages::{SECOND, get, got, hit, invalidated, put, reason, stats, stored},
};

type Events = Streaming<WatchResponse>;

/// A watch from now on.
fn from_now() -> WatchRequest {
    WatchRequest {
        namespace: "aws".into(),
        ..Default::default()
    }
}

async fn watching(stub: &mut Stub, request: WatchRequest) -> Events {
    within(stub.watch(request)).await.unwrap().into_inner()
}

/// The next message.
async fn next(events: &mut Events) -> WatchResponse {
    let message = within(events.message()).await.unwrap();
    message.expect("the stream goes on")
}

/// The next message that isn't a heartbeat.
async fn next_change(events: &mut Events) -> (Event, u64) {
    loop {
        let message = next(events).await;
        match message.event.expect("an event") {
            Event::Heartbeat(_) => {}
            event => return (event, message.revision),
        }
    }
}

/// The status with which the stream ends.
async fn end(events: &mut Events) -> Status {
    loop {
        if let Err(status) = within(events.message()).await {
            return status;
        }
    }
}

fn invalidation(target: Target) -> Event {
    Event::Invalidated(Invalidated {
        target: Some(target),
    })
}

fn replacement(key: &str, version: u64) -> Event {
    Event::Replaced(Replaced {
        key: key.into(),
        version,
    })
}

async fn instance_id(stub: &mut Stub) -> String {
    stats(stub).await.server.unwrap().instance_id
}

#[tokio::test]
async fn first_message_comes_at_once_and_says_where_it_begins() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let first = next(&mut watching(&mut stub, from_now()).await).await;
    assert_eq!(first.revision, 0);
    stored(&mut stub, put("reader")).await;
    let revision = stored(&mut stub, put("reader")).await;
    let mut events = watching(&mut stub, from_now()).await;
    let first = next(&mut events).await;
    assert_eq!(first.revision, revision);
    match first.event {
        Some(Event::Heartbeat(heartbeat)) => {
            assert_eq!(heartbeat.instance_id, instance_id(&mut stub).await);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn heartbeats_say_up_to_where_everything_was_told() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let mut events = watching(&mut stub, from_now()).await;
    let begun = Instant::now();
    let first = next(&mut events).await.revision;
    let mut received = first;
    let mut is_up_to_date = false;
    for _ in 0..3 {
        // A change in another namespace isn't sent, but the server's revision counts it.
        let elsewhere = PutRequest {
            namespace: "oauth".into(),
            ..put("reader")
        };
        let revision = stored(&mut stub, elsewhere).await;
        let message = next(&mut events).await;
        assert!(matches!(message.event, Some(Event::Heartbeat(_))));
        assert!((received..=revision).contains(&message.revision));
        received = message.revision;
        // If the machine was slow, the heartbeat was sent before the Put.
        is_up_to_date |= received == revision;
    }
    assert!(is_up_to_date && received > first);
    let taken = begun.elapsed();
    assert!(taken >= 3 * SECOND - SECOND / 10, "{taken:?}");
}

#[tokio::test]
async fn watcher_that_comes_back_is_told_what_it_missed() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let mut events = watching(&mut stub, from_now()).await;
    next(&mut events).await;
    let seen = stored(&mut stub, put("seen")).await;
    assert_eq!(
        next_change(&mut events).await,
        (replacement("seen", seen), seen)
    );
    let unread = stored(&mut stub, put("unread")).await;
    drop(events);
    let away = stored(&mut stub, put("away")).await;
    let all = invalidated(&mut stub, invalidate_request::Target::All(true)).await;

    let from = |revision| WatchRequest {
        start_revision: revision,
        ..from_now()
    };
    let instance_id = instance_id(&mut stub).await;
    let resumed = WatchRequest {
        instance_id: instance_id.clone(),
        ..from(seen)
    };
    let mut events = watching(&mut stub, resumed).await;
    assert_eq!(
        next_change(&mut events).await,
        (replacement("unread", unread), unread)
    );
    assert_eq!(
        next_change(&mut events).await,
        (replacement("away", away), away)
    );
    let expected = (invalidation(Target::All(true)), all.revision);
    assert_eq!(next_change(&mut events).await, expected);

    // A watcher that has received everything begins with a heartbeat.
    let up_to_date = WatchRequest {
        instance_id,
        ..from(all.revision)
    };
    let first = next(&mut watching(&mut stub, up_to_date).await).await;
    assert!(
        matches!(first.event, Some(Event::Heartbeat(_))),
        "{first:?}"
    );
    assert_eq!(first.revision, all.revision);
}

#[tokio::test]
async fn watcher_of_another_instance_begins_with_a_reset() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let revision = stored(&mut stub, put("reader")).await;
    let own = instance_id(&mut stub).await;
    let requests = [
        ("0123456789abcdef0123456789abcdef", 1),
        ("0123456789abcdef0123456789abcdef", 0),
        // A revision that this instance hasn't reached.
        (&own, revision + 100),
        (&own, u64::MAX),
    ];
    for (id, start_revision) in requests {
        let request = WatchRequest {
            instance_id: id.into(),
            start_revision,
            ..from_now()
        };
        let mut events = watching(&mut stub, request).await;
        let first = next(&mut events).await;
        let Some(Event::Reset(reset)) = first.event else {
            panic!("{first:?}");
        };
        assert_eq!(reset.instance_id, own);
        let version = stored(&mut stub, put("reader")).await;
        assert!(first.revision < version);
        let expected = (replacement("reader", version), version);
        assert_eq!(next_change(&mut events).await, expected);
    }
}

#[tokio::test]
async fn revision_without_its_instance_is_refused() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let request = WatchRequest {
        start_revision: 1,
        ..from_now()
    };
    let status = within(stub.watch(request)).await.expect_err("a refusal");
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::InvalidArgument, "INVALID_FIELD")
    );
    let details = status.get_error_details();
    let named = &details.bad_request().unwrap().field_violations[0].field;
    assert_eq!(named, "instance_id");
}

#[tokio::test]
async fn events_that_nobody_remembers_are_told_as_a_gap() {
    let server = Running::start(&config("limits.max_journal = '64KiB'")).await;
    let mut stub = server.stub().await;
    let mut events = watching(&mut stub, from_now()).await;
    next(&mut events).await;
    let seen = stored(&mut stub, put("reader")).await;
    assert_eq!(next_change(&mut events).await.1, seen);
    drop(events);
    let mut last = 0;
    for nth in 0..200 {
        last = stored(&mut stub, put(&format!("{nth:01000}"))).await;
    }
    let request = WatchRequest {
        instance_id: instance_id(&mut stub).await,
        start_revision: seen,
        ..from_now()
    };
    let mut events = watching(&mut stub, request).await;
    let (event, revision) = next_change(&mut events).await;
    assert!(matches!(event, Event::Reset(_)), "{event:?}");
    assert!(revision <= last);
    // The stream then goes on without repeating or omitting a change.
    let next = stored(&mut stub, put("reader")).await;
    let mut before = revision;
    loop {
        let (event, revision) = next_change(&mut events).await;
        assert_eq!(revision, before + 1);
        before = revision;
        if event == replacement("reader", next) {
            break;
        }
    }
    hit(got(&mut stub, get("reader")).await);
}

#[tokio::test]
async fn deadline_ends_the_stream() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut request = Request::new(from_now());
    request.set_timeout(SECOND);
    let mut stub = server.stub().await;
    let mut events = within(stub.watch(request)).await.unwrap().into_inner();
    let status = end(&mut events).await;
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
}
