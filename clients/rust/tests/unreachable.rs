//! What a caller is told when there is no server, or one that goes away.
//! Plain sockets play the server: none of these gets as far as an answer.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use credcache_client::{Address, Client, Error, Lifetime, Put, Secret};
use tokio::{
    net::{TcpListener, UnixListener},
    time::Instant,
};

const SHORT: Duration = Duration::from_millis(300);

fn address_of(listener: &TcpListener) -> Address {
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn closed_port_is_unreachable() {
    let address = address_of(&listener().await);
    let connected = Client::connect(&address.to_string()).await;
    assert!(
        matches!(connected, Err(Error::Unreachable(_))),
        "{connected:?}"
    );

    let lazy = Client::builder().connect_lazy(&address).unwrap();
    let answer = lazy.get("aws", "reader").await;
    assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
}

#[tokio::test]
async fn missing_socket_file_is_unreachable() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", directory.path().join("absent.sock").display());
    let connected = Client::connect(&address).await;
    assert!(
        matches!(connected, Err(Error::Unreachable(_))),
        "{connected:?}"
    );
}

#[tokio::test]
async fn text_that_is_no_address_is_told_apart() {
    let connected = Client::connect("https://localhost:1").await;
    assert!(matches!(connected, Err(Error::Address(_))), "{connected:?}");
}

#[tokio::test]
async fn server_that_goes_away_after_connecting_is_unreachable() {
    let listener = listener().await;
    let address = address_of(&listener);
    let (client, accepted) = tokio::join!(Client::builder().connect(&address), listener.accept());
    let client = client.unwrap();
    drop((listener, accepted));

    let put = Put::new(
        "aws",
        "reader",
        Secret::new("token"),
        Lifetime::Ttl(Duration::from_secs(60)),
    );
    let answer = client.put(put).await;
    assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
    let health = client.health().await;
    assert!(matches!(health, Err(Error::Unreachable(_))), "{health:?}");
}

#[tokio::test]
async fn server_that_is_silent_costs_the_timeout_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("silent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let address = format!("unix:{}", path.display()).parse().unwrap();
    let builder = Client::builder().timeout(SHORT);
    let (client, _accepted) = tokio::join!(builder.connect(&address), listener.accept());

    let begun = Instant::now();
    let answer = client.unwrap().stats(None).await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded)), "{answer:?}");
    assert!(begun.elapsed() >= SHORT);
}

#[tokio::test]
async fn dropped_call_leaves_the_client_usable() {
    let listener = listener().await;
    let address = address_of(&listener);
    let builder = Client::builder().connections(1);
    let (client, _accepted) = tokio::join!(builder.connect(&address), listener.accept());
    let client = client.unwrap();

    let abandoned = tokio::time::timeout(Duration::from_millis(20), client.get("aws", "reader"));
    assert!(abandoned.await.is_err());
    let answer = client.with_timeout(SHORT).get("aws", "reader").await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded)), "{answer:?}");
}

#[test]
fn futures_can_be_spawned() {
    fn assert_send<T: Send>(_: impl FnOnce(Client) -> T) {}
    assert_send(|client| async move { client.get("aws", "reader").await });
    assert_send(|client| async move { client.health().await });
    assert_send(|client| async move {
        let put = Put::new("aws", "reader", Secret::new(""), Lifetime::Ttl(SHORT));
        client.put(put).await
    });
}
