//! What a connection may cost: silence at the start, and the number of connections.

use std::time::Duration;

use credcache::server::{self, Timeouts};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::fixture::{DeafClient, RawClient, Running, config, until_served, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test]
async fn silent_connection_is_cut_and_a_speaking_one_is_not() {
    let config = config("");
    let bound = server::bind(&config).await.unwrap();
    let server = Running::run(
        bound.with_timeouts(Timeouts {
            preface: Duration::from_millis(50),
            ..Timeouts::default()
        }),
        &config,
    );
    let mut speaking = RawClient::connect(server.address).await;
    assert_eq!(speaking.check().await.unwrap(), 1);
    for sent in [0, 1, PREFACE.len() - 1] {
        let mut silent = TcpStream::connect(server.address).await.unwrap();
        silent.write_all(&PREFACE[..sent]).await.unwrap();
        // The read ends only when the server closes the connection.
        let _ = within(silent.read_to_end(&mut Vec::new())).await;
    }
    assert_eq!(speaking.check().await.unwrap(), 1);
}

#[tokio::test]
async fn connection_above_the_limit_is_closed_until_another_has_gone() {
    let config = config("limits.max_connections = 1");
    let bound = server::bind(&config).await.unwrap();
    // A connection that isn't served is closed because of the limit, or never.
    let server = Running::run(
        bound.with_timeouts(Timeouts {
            preface: Duration::from_secs(3600),
            ..Timeouts::default()
        }),
        &config,
    );
    let mut first = RawClient::connect(server.address).await;
    assert_eq!(first.check().await.unwrap(), 1);
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut received = Vec::new();
    within(second.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"");
    assert_eq!(first.check().await.unwrap(), 1);
    first.connection.abort();
    until_served(server.address).await;
}

#[tokio::test]
async fn connection_whose_peer_never_reads_is_cut_and_frees_its_place() {
    let config = config("limits.max_connections = 1");
    let bound = server::bind(&config).await.unwrap();
    let server = Running::run(
        bound.with_timeouts(Timeouts {
            write: Duration::from_millis(50),
            ..Timeouts::default()
        }),
        &config,
    );
    let mut deaf = DeafClient::connect(server.address).await;
    within(deaf.flood_until_cut()).await;
    until_served(server.address).await;
}

#[tokio::test]
async fn request_of_http1_is_answered_in_http1_and_the_connection_closed() {
    let server = Running::start(&config("")).await;
    let mut speaking = RawClient::connect(server.address).await;
    // The last body is larger than a packet, and than what is read of the preface.
    for body in [0, 1, 50_000] {
        let head = format!("POST /a HTTP/1.1\r\ncontent-length: {body}\r\n\r\n");
        for first in [1, 2, 10] {
            let request = [head.as_bytes(), &vec![b'x'; body]].concat();
            let mut client = TcpStream::connect(server.address).await.unwrap();
            let (first, rest) = request.split_at(first);
            client.write_all(first).await.unwrap();
            client.write_all(rest).await.unwrap();
            let mut answer = Vec::new();
            within(client.read_to_end(&mut answer)).await.unwrap();
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 505 "), "{answer:?}");
            assert!(answer.contains("grpcurl"), "{answer:?}");
        }
    }
    assert_eq!(speaking.check().await.unwrap(), 1);
}

#[tokio::test]
async fn client_of_http1_that_never_reads_or_ends_frees_its_place() {
    let server = Running::start(&config("limits.max_connections = 1")).await;
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    deaf.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    until_served(server.address).await;
}
