//! What one connection can hold, and for how long.

use std::time::Duration;

use bytes::Bytes;
use credcache::server::{self, Timeouts};
use credcache_client::proto::{
    BatchGetRequest, GetRequest, GetResponse, MissReason, WatchRequest, invalidate_request::Target,
};
use h2::{Reason, RecvStream};
use http::HeaderMap;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    fixture::{RawClient, Running, config, until_served, within},
    messages::{asking, duration, fill, get, hit, invalidate, miss, put, reason, until_waiting},
};

const GET: &str = "/credcache.v1.CredentialCacheService/Get";
const PUT: &str = "/credcache.v1.CredentialCacheService/Put";
/// Larger than the window, and smaller than the largest value.
const VALUE: usize = 50_000;
const WINDOW: u32 = 10_000;

async fn store_a_large_value(server: &Running) {
    let mut large = put("large");
    large.value = vec![b'v'; VALUE].into();
    within(server.stub().await.put(large)).await.unwrap();
}

/// A server that holds a large value, and a client with this window for each response.
async fn server_with_a_large_value(window: u32) -> (Running, RawClient) {
    let server = Running::start(&config("")).await;
    store_a_large_value(&server).await;
    let client = RawClient::with_window(server.address, window).await;
    (server, client)
}

async fn revoke(server: &Running) {
    let target = invalidate(Target::Key("large".into()));
    let removed = within(server.stub().await.invalidate(target))
        .await
        .unwrap();
    assert_eq!(removed.into_inner().removed, 1);
}

/// The next piece of a response, whose window stays as it is.
async fn piece(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    within(body.data()).await.expect("more of the response")
}

/// Reads this many bytes or more of a response, whose window stays as it is.
async fn read(body: &mut RecvStream, len: usize) -> usize {
    let mut received = 0;
    while received < len {
        received += piece(body).await.unwrap().len();
    }
    received
}

/// The whole response of a Get, for which the window is opened piece by piece.
async fn whole(mut body: RecvStream) -> GetResponse {
    let mut framed = Vec::new();
    while let Some(data) = within(body.data()).await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        framed.extend_from_slice(&data);
    }
    GetResponse::decode(&framed[5..]).unwrap()
}

#[tokio::test]
async fn response_that_waits_for_its_window_comes_whole_though_others_are_revoked() {
    let (server, mut client) = server_with_a_large_value(WINDOW).await;
    let response = client.call(GET, &get("large")).await.unwrap();
    let body = within(response).await.unwrap().into_body();
    let mut stub = server.stub().await;
    within(stub.put(put("other"))).await.unwrap();
    let other = invalidate(Target::Key("other".into()));
    within(stub.invalidate(other)).await.unwrap();
    assert_eq!(hit(whole(body).await).value.len(), VALUE);
}

#[tokio::test]
async fn rest_of_a_response_is_not_sent_after_its_credential_was_revoked() {
    let (server, mut client) = server_with_a_large_value(WINDOW).await;
    let response = client.call(GET, &get("large")).await.unwrap();
    let mut body = within(response).await.unwrap().into_body();
    let received = read(&mut body, WINDOW as usize).await;
    revoke(&server).await;
    body.flow_control().release_capacity(received).unwrap();
    let error = piece(&mut body).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
    assert_eq!(client.check().await.unwrap(), 1);
}

#[tokio::test]
async fn rest_of_a_response_is_not_sent_after_its_credential_has_expired() {
    let (server, mut client) = server_with_a_large_value(WINDOW).await;
    let response = client.call(GET, &get("large")).await.unwrap();
    let mut body = within(response).await.unwrap().into_body();
    let received = read(&mut body, WINDOW as usize).await;
    server.time.pass(Duration::from_secs(30));
    body.flow_control().release_capacity(received).unwrap();
    let error = piece(&mut body).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
}

#[tokio::test]
async fn response_without_any_window_is_made_when_it_can_be_sent() {
    let (server, mut client) = server_with_a_large_value(1 << 20).await;
    let mut bodies = Vec::new();
    // The window of the connection ends within the second of them.
    for _ in 0..3 {
        let response = client.call(GET, &get("large")).await.unwrap();
        bodies.push(within(response).await.unwrap().into_body());
    }
    let received = read(&mut bodies[0], VALUE).await;
    revoke(&server).await;
    bodies[0].flow_control().release_capacity(received).unwrap();
    let last = bodies.pop().unwrap();
    assert_eq!(miss(&whole(last).await).0, MissReason::Revoked);
}

#[tokio::test]
async fn stream_whose_peer_accepts_nothing_is_reset_and_its_connection_goes_on() {
    let config = config("");
    let bound = server::bind(&config).await.unwrap();
    let timeouts = Timeouts {
        write: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let server = Running::run(bound.with_timeouts(timeouts), &config);
    store_a_large_value(&server).await;
    let mut client = RawClient::with_window(server.address, WINDOW).await;
    let response = client.call(GET, &get("large")).await.unwrap();
    let mut body = within(response).await.unwrap().into_body();
    let error = loop {
        if let Err(error) = piece(&mut body).await {
            break error;
        }
    };
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    assert_eq!(client.check().await.unwrap(), 1);
}

/// A Get that waits and requests no lease.
fn patient() -> GetRequest {
    GetRequest {
        wait: Some(duration(Duration::from_secs(60))),
        ..get("due")
    }
}

#[tokio::test]
async fn waits_of_a_connection_leave_half_of_its_streams_to_other_calls() {
    let server = Running::start(&config("limits.max_streams = 8")).await;
    let mut stub = server.stub().await;
    let granted = within(stub.get(asking("due"))).await.unwrap().into_inner();
    let waits: Vec<_> = (0..4)
        .map(|_| {
            let mut stub = stub.clone();
            tokio::spawn(async move { stub.get(patient()).await })
        })
        .collect();
    until_waiting(&mut stub, 4).await;

    let response = within(stub.get(patient())).await.unwrap().into_inner();
    let (miss_reason, retry_after) = miss(&response);
    assert_eq!(miss_reason, MissReason::Pending);
    assert!(retry_after.is_some());
    let watch = WatchRequest {
        namespace: "aws".into(),
        ..Default::default()
    };
    let status = within(stub.watch(watch)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "TOO_MANY_WAITS");

    // The holder's own Put gets through, and answers everybody.
    let lease = granted.lease.unwrap();
    within(stub.put(fill("due", &lease))).await.unwrap();
    for wait in waits {
        hit(within(wait).await.unwrap().unwrap().into_inner());
    }
}

#[tokio::test]
async fn connection_at_its_age_ends_its_watches_and_its_client_opens_another() {
    let server = Running::start(&config("connection.max_age = '1s'")).await;
    let mut stub = server.stub().await;
    let watch = WatchRequest {
        namespace: "aws".into(),
        ..Default::default()
    };
    let mut events = within(stub.watch(watch)).await.unwrap().into_inner();
    let status = loop {
        match within(events.message()).await {
            Ok(event) => assert!(event.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "CONNECTION_RETIRED");
    within(stub.get(get("any"))).await.unwrap();
}

#[tokio::test]
async fn peer_that_floods_control_frames_is_cut_and_others_are_served() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    // GOAWAY before the first call, because of ENHANCE_YOUR_CALM.
    const CALM: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    let frames: [&[u8]; 5] = [
        SETTINGS,
        &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
        &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 0, 0, 0x99, 0, 0, 0, 0, 0],
    ];
    let server = Running::start(&config("")).await;
    for frame in frames {
        let mut peer = TcpStream::connect(server.address).await.unwrap();
        peer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        peer.write_all(SETTINGS).await.unwrap();
        let (mut reading, mut writing) = peer.into_split();
        let flood = frame.repeat(100);
        let flooding = tokio::spawn(async move {
            let mut sent = 0;
            while writing.write_all(&flood).await.is_ok() {
                sent += 100;
            }
            sent
        });
        // Reading ends when the server closes the connection; what it said last may be lost.
        let mut received = Vec::new();
        let closed = within(reading.read_to_end(&mut received)).await;
        let sent = within(flooding).await.unwrap();
        assert!(sent > 1000, "{sent} frames");
        if closed.is_ok() {
            assert!(received.windows(CALM.len()).any(|frame| frame == CALM));
        }
        until_served(server.address).await;
    }
}

#[tokio::test]
async fn bodies_beyond_the_memory_of_their_connection_are_refused() {
    const BODY: usize = 100 * 1024;
    // One byte of each is still to come.
    const MESSAGE: u32 = 100 * 1024 - 4;
    let server = Running::start(&config("limits.connection_memory = '5MiB'")).await;
    let mut client = RawClient::connect(server.address).await;
    let mut bodies = Vec::new();
    let refused = loop {
        let (response, mut body) = client.begin(PUT, &[]).await.unwrap();
        let mut sent = vec![0];
        sent.extend(MESSAGE.to_be_bytes());
        sent.resize(BODY, b'x');
        body.send_data(sent.into(), false).unwrap();
        let mut response = Box::pin(response);
        // A body that doesn't fit is refused before any later call is answered.
        tokio::select! {
            biased;
            response = &mut response => break response.unwrap(),
            served = client.check() => assert_eq!(served.unwrap(), 1),
        }
        bodies.push((response, body));
        assert!(bodies.len() < 100, "no end");
    };
    assert_refused_for_memory(refused.headers());
    assert!((45..=52).contains(&bodies.len()), "{} fit", bodies.len());
    // Without the others there is room again.
    drop(bodies);
    let response = client.call(PUT, &put("one")).await.unwrap();
    let response = within(response).await.unwrap();
    assert!(Status::from_header_map(response.headers()).is_none());
}

fn assert_refused_for_memory(headers: &HeaderMap) {
    let status = Status::from_header_map(headers).expect("a status");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "MEMORY_FULL");
    assert!(status.get_error_details().retry_info().is_some());
}

const BATCH_GET: &str = "/credcache.v1.CredentialCacheService/BatchGet";

/// A BatchGet whose response takes nearly all of the 4 MiB that it may.
async fn store_a_large_batch(server: &Running) -> BatchGetRequest {
    const LARGEST: usize = 64 * 1024;
    let keys: Vec<_> = (0..63).map(|nth| format!("large/{nth}")).collect();
    let mut stub = server.stub().await;
    for key in &keys {
        let mut large = put(key);
        large.value = vec![b'v'; LARGEST].into();
        within(stub.put(large)).await.unwrap();
    }
    BatchGetRequest {
        namespace: "aws".into(),
        keys,
        ..Default::default()
    }
}

/// The response of a call, of which the client accepts what its window allows.
async fn begun(client: &mut RawClient, batch: &BatchGetRequest) -> RecvStream {
    let response = client.call(BATCH_GET, batch).await.unwrap();
    within(response).await.unwrap().into_body()
}

#[tokio::test]
async fn response_waits_for_the_others_of_its_connection_and_a_call_that_left_holds_nothing() {
    let server = Running::start(&config("")).await;
    let batch = store_a_large_batch(&server).await;
    let mut client = RawClient::with_window(server.address, WINDOW).await;
    let held = [
        begun(&mut client, &batch).await,
        begun(&mut client, &batch).await,
    ];
    // There is no room for a third response; its request takes room as well.
    let mut more = batch.clone();
    more.keys
        .extend((0..300).map(|nth| format!("{nth:0>1000}")));
    let mut waiting = Box::pin(client.call(BATCH_GET, &batch).await.unwrap());
    // More of these than fit: none is held any more when the next begins.
    for _ in 0..40 {
        let leaves = client.call(BATCH_GET, &more).await.unwrap();
        assert_eq!(client.check().await.unwrap(), 1);
        drop(leaves);
    }
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the response didn't wait"),
        served = client.check() => assert_eq!(served.unwrap(), 1),
    }
    drop(held);
    let mut body = within(waiting).await.unwrap().into_body();
    assert!(!piece(&mut body).await.unwrap().is_empty());
}

#[tokio::test]
async fn server_without_memory_refuses_large_responses_and_gives_small_ones() {
    let server = Running::start(&config("limits.memory = '32MiB'")).await;
    let batch = store_a_large_batch(&server).await;
    within(server.stub().await.put(put("small"))).await.unwrap();
    let mut held = Vec::new();
    let refused = loop {
        let mut client = RawClient::with_window(server.address, WINDOW).await;
        let response = client.call(BATCH_GET, &batch).await.unwrap();
        let response = within(response).await.unwrap();
        if Status::from_header_map(response.headers()).is_some() {
            break response;
        }
        held.push((client, response.into_body()));
        assert!(held.len() < 8, "more than 32 MiB");
    };
    assert_refused_for_memory(refused.headers());
    assert!(held.len() >= 2, "{} fit", held.len());
    let small = within(server.stub().await.get(get("small"))).await.unwrap();
    assert_eq!(hit(small.into_inner()).value, "token");
}
