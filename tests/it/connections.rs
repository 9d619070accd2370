//! What a connection may cost: silence at the start, and their number.

use std::time::Duration;

use credcache::server::{self, Patience};
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
        bound.with_patience(Patience {
            preface: Duration::from_millis(50),
            ..Patience::default()
        }),
        &config,
    );
    let mut speaking = RawClient::connect(server.address).await;
    assert_eq!(speaking.check().await.unwrap(), 1);
    for sent in [0, 1, PREFACE.len() - 1] {
        let mut silent = TcpStream::connect(server.address).await.unwrap();
        silent.write_all(&PREFACE[..sent]).await.unwrap();
        // Ends only when the server closes the connection.
        let _ = within(silent.read_to_end(&mut Vec::new())).await;
    }
    assert_eq!(speaking.check().await.unwrap(), 1);
}

#[tokio::test]
async fn connection_above_the_limit_is_closed_until_another_has_gone() {
    let server = Running::start(&config("limits.max_connections = 1")).await;
    let mut first = RawClient::connect(server.address).await;
    assert_eq!(first.check().await.unwrap(), 1);
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut received = Vec::new();
    within(second.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"", "a served connection begins with SETTINGS");
    assert_eq!(first.check().await.unwrap(), 1);
    first.connection.abort();
    until_served(server.address).await;
}

#[tokio::test]
async fn connection_whose_peer_never_reads_is_cut_and_frees_its_place() {
    let config = config("limits.max_connections = 1");
    let bound = server::bind(&config).await.unwrap();
    let server = Running::run(
        bound.with_patience(Patience {
            write: Duration::from_millis(50),
            ..Patience::default()
        }),
        &config,
    );
    let mut deaf = DeafClient::connect(server.address).await;
    within(deaf.flood_until_cut()).await;
    until_served(server.address).await;
}
