//! The end of a server: what is in flight finishes, in bounded time.

use bytes::Bytes;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tonic::Request;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::fixture::{CHECK, EMPTY_MESSAGE, RawClient, Running, config, serving_status, within};

const NOT_SERVING: u8 = 2;

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
    // Answered after the call above has reached the server.
    assert_eq!(client.check().await.unwrap(), 1);

    let end = server.shut_down();
    // Closed listeners are the sign that the drain has begun.
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
