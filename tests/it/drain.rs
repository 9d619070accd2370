//! The end of a server: calls in flight finish, in bounded time.

use bytes::Bytes;
use credcache_client::proto::{BatchPutRequest, invalidate_request::Target};
use credcache_core::Count;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};
use tonic::{Code, Request, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::{
    fixture::{
        CHECK, DeafClient, EMPTY_MESSAGE, RawClient, Running, config, serving_status, within,
    },
    messages::{invalidate, put, stats},
};

const NOT_SERVING: u8 = 2;
const PUT: &str = "/credcache.v1.CredentialCacheService/Put";

#[tokio::test]
async fn call_in_flight_finishes_before_the_server_ends() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("c.sock");
    let mut config = config("shutdown.drain_timeout = '1h'");
    config
        .listen
        .push(format!("unix:{}", socket.display()).parse().unwrap());
    let server = Running::start(&config).await;
    let address = server.address;
    let mut client = RawClient::connect(address).await;
    assert_eq!(client.check().await.unwrap(), 1);
    let (response, mut body) = client.begin(CHECK, &[]).await.unwrap();
    body.send_data(Bytes::from_static(&EMPTY_MESSAGE[..3]), false)
        .unwrap();
    // This answer shows that the call above has reached the server.
    assert_eq!(client.check().await.unwrap(), 1);

    let end = server.shut_down();
    // A closed listener shows that the drain has begun.
    within(async { while TcpStream::connect(address).await.is_ok() {} }).await;
    assert!(!socket.exists());
    assert!(!end.is_finished());
    body.send_data(Bytes::from_static(&EMPTY_MESSAGE[3..]), true)
        .unwrap();
    assert_eq!(serving_status(response).await.unwrap(), NOT_SERVING);
    within(end).await.unwrap().unwrap();
    within(client.connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn call_that_never_ends_is_cut_after_the_drain_timeout() {
    let server = Running::start(&config("shutdown.drain_timeout = '20ms'")).await;
    let mut client = RawClient::connect(server.address).await;
    let (response, _body) = client.begin(CHECK, &[]).await.unwrap();
    assert_eq!(client.check().await.unwrap(), 1);
    within(server.shut_down()).await.unwrap().unwrap();
    assert!(within(response).await.is_err());
}

#[tokio::test]
async fn drain_ends_though_a_client_never_reads() {
    let server = Running::start(&config("shutdown.drain_timeout = '20ms'")).await;
    let mut deaf = DeafClient::connect(server.address).await;
    within(deaf.flood_until_blocked()).await;
    within(server.shut_down()).await.unwrap().unwrap();
    // The connection is cut by the server, and not only by the end of the runtime.
    within(deaf.flood_until_cut()).await;
}

#[tokio::test]
async fn health_watch_says_not_serving_and_ends() {
    let server = Running::start(&config("shutdown.drain_timeout = '1h'")).await;
    let mut health = HealthClient::new(server.channel().await);
    let service = "credcache.v1.CredentialCacheService".into();
    let request = Request::new(HealthCheckRequest { service });
    let mut answers = within(health.watch(request)).await.unwrap().into_inner();
    assert_eq!(within(answers.message()).await.unwrap().unwrap().status, 1);
    let end = server.shut_down();
    let status = within(answers.message()).await.unwrap().unwrap().status;
    assert_eq!(status, i32::from(NOT_SERVING));
    assert!(within(answers.message()).await.unwrap().is_none());
    within(end).await.unwrap().unwrap();
}

#[tokio::test]
async fn call_that_began_before_the_client_knew_of_the_drain_is_told_to_retry() {
    let server = Running::start(&config("shutdown.drain_timeout = '1h'")).await;
    let upstream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, goaway) = unaware_client(upstream).await;
    assert_eq!(client.check().await.unwrap(), 1);

    let end = server.shut_down();
    within(goaway).await.unwrap();
    let (response, mut body) = client.begin(PUT, &[]).await.unwrap();
    body.send_data(Bytes::from_static(EMPTY_MESSAGE), true)
        .unwrap();
    let response = within(response).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::Unavailable);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((&*info.domain, &*info.reason), ("credcache", "DRAINING"));
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    assert_eq!(client.check().await.unwrap(), NOT_SERVING);

    client.connection.abort();
    within(end).await.unwrap().unwrap();
}

#[tokio::test]
async fn invalidation_that_began_is_through_when_the_server_has_ended() {
    const ENTRIES: u64 = 5_000;
    let server = Running::start(&config("workers = 1\nshutdown.drain_timeout = '1h'")).await;
    let mut stub = server.stub().await;
    for thousand in 0..ENTRIES / 1_000 {
        let requests = (0..1_000).map(|nth| put(&format!("{thousand}/{nth}")));
        let requests = requests.collect();
        within(stub.batch_put(BatchPutRequest { requests }))
            .await
            .unwrap();
    }
    let mut caller = stub.clone();
    let request = invalidate(Target::All(true));
    let call = tokio::spawn(async move { drop(caller.invalidate(request).await) });
    within(async { while stats(&mut stub).await.invalidations == 0 {} }).await;
    call.abort();
    let cache = server.cache.clone();
    within(server.shut_down()).await.unwrap().unwrap();
    assert_eq!(cache.counts(None).of(Count::Invalidated), ENTRIES);
}

/// A client whose network withholds GOAWAY, and reports when it has. The network also withholds
/// PING, whose answer would tell the server that GOAWAY has arrived.
async fn unaware_client(upstream: TcpStream) -> (RawClient, oneshot::Receiver<()>) {
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    let (near, far) = tokio::io::duplex(1 << 16);
    let (mut from_server, mut to_server) = upstream.into_split();
    let (mut from_client, mut to_client) = tokio::io::split(far);
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    });
    let (withheld, goaway) = oneshot::channel();
    tokio::spawn(async move {
        let mut withheld = Some(withheld);
        // A frame begins with its length in 3 bytes and its type.
        let mut head = [0; 9];
        while from_server.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length.try_into().unwrap()];
            from_server.read_exact(&mut payload).await.unwrap();
            match head[3] {
                PING => {}
                GOAWAY => drop(withheld.take().map(|withheld| withheld.send(()))),
                _ => {
                    let frame = [&head[..], &payload].concat();
                    to_client.write_all(&frame).await.unwrap();
                }
            }
        }
    });
    (within(RawClient::over(near)).await.unwrap(), goaway)
}
