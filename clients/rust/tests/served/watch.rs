//! The raw watch.

use std::time::Duration;

use credcache_client::{Error, Event, Target};
use tonic::Code;

use crate::{
    fake::{Fake, heartbeat, invalidated, sent},
    proto::{Replaced, invalidated, watch_response},
};

#[tokio::test]
async fn events_come_in_order_and_go_on_where_they_broke_off() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (watch, (request, events)) = tokio::join!(client.watch("aws"), server.watch());
    let mut watch = watch.unwrap();
    assert_eq!((&request.namespace[..], request.start_revision), ("aws", 0));

    events.send(heartbeat("one", 4)).await.unwrap();
    let target = invalidated::Target::KeyPrefix("role/".into());
    events.send(invalidated(target, 5)).await.unwrap();
    let expected = Event::Heartbeat {
        instance_id: "one".into(),
        revision: 4,
    };
    assert_eq!(watch.next().await.unwrap(), expected);
    let expected = Event::Invalidated {
        target: Target::KeyPrefix("role/".into()),
        revision: 5,
    };
    assert_eq!(watch.next().await.unwrap(), expected);
    drop(events);
    let ended = watch.next().await;
    assert!(matches!(ended, Err(Error::Disconnected(_))), "{ended:?}");

    let resumed = client.watch_from("aws", "one", 5);
    let (resumed, (request, events)) = tokio::join!(resumed, server.watch());
    assert_eq!(
        (&request.instance_id[..], request.start_revision),
        ("one", 5)
    );
    let replaced = watch_response::Event::Replaced(Replaced {
        key: "role/reader".into(),
        version: 6,
    });
    events.send(sent(replaced, 6)).await.unwrap();
    assert_eq!(resumed.unwrap().next().await.unwrap().revision(), 6);
}

#[tokio::test]
async fn watch_outlives_the_timeout_of_a_call() {
    let mut server = Fake::start().await;
    let timeout = Duration::from_millis(200);
    let client = server.client().with_timeout(timeout);
    let (watch, (_, events)) = tokio::join!(client.watch("aws"), server.watch());
    let mut watch = watch.unwrap();
    let silence = tokio::time::timeout(timeout * 3, watch.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    events.send(heartbeat("one", 1)).await.unwrap();
    assert_eq!(watch.next().await.unwrap().revision(), 1);
}

#[tokio::test]
async fn refusal_in_the_stream_is_told() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (watch, (_, events)) = tokio::join!(client.watch("aws"), server.watch());
    let refusal = tonic::Status::resource_exhausted("too many watchers");
    events.send(Err(refusal)).await.unwrap();
    let ended = watch.unwrap().next().await;
    assert!(
        matches!(ended, Err(Error::Refused(refusal)) if refusal.code == Code::ResourceExhausted)
    );
}
