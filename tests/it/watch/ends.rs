//! What ends a stream of events, and how many streams there may be.

use tonic::Code;
use tonic_types::StatusExt;

use super::{end, from_now, next, watching};
use crate::{
    fixture::{Running, config, within},
    messages::{put, reason, stored},
};

#[tokio::test]
async fn drain_ends_streams_and_does_not_wait_for_them() {
    let server = Running::start(&config("shutdown.drain_timeout = '1h'")).await;
    let mut stub = server.stub().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut events = watching(&mut stub, from_now()).await;
        next(&mut events).await;
        streams.push(events);
    }
    let over = server.shut_down();
    for events in &mut streams {
        let status = end(events).await;
        assert_eq!(
            (status.code(), &*reason(&status)),
            (Code::Unavailable, "DRAINING")
        );
        let details = status.get_error_details();
        assert!(details.retry_info().unwrap().retry_delay.is_some());
    }
    within(over).await.unwrap().unwrap();
}

#[tokio::test]
async fn watchers_beyond_the_limit_exhaust_a_resource_until_one_has_gone() {
    let server = Running::start(&config("limits.max_watchers = 2")).await;
    let mut stub = server.stub().await;
    let first = watching(&mut stub, from_now()).await;
    let mut second = watching(&mut stub, from_now()).await;
    next(&mut second).await;
    let status = within(stub.watch(from_now())).await.expect_err("refused");
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::ResourceExhausted, "TOO_MANY_WATCHERS")
    );
    drop(first);
    // The server notices the end at a time of its own.
    let mut third = within(async {
        loop {
            if let Ok(events) = stub.watch(from_now()).await {
                return events.into_inner();
            }
        }
    })
    .await;
    let revision = next(&mut third).await.revision;
    assert!(stored(&mut stub, put("reader")).await > revision);
}
