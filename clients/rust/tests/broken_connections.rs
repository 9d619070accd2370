//! What becomes of a call whose connection breaks once the server has read it.
//! A plain socket plays the server: it reads one request to its end, as much of
//! HTTP/2 as that takes, and hangs up.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{io, time::Duration};

use credcache_client::{Address, Client, Error, Lifetime, Put, Secret, Target};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    select,
};

const ATTEMPTS: usize = 3;

#[tokio::test]
async fn put_that_may_have_been_stored_is_not_sent_again() {
    let server = HangUp::bind().await;
    let client = server.client();
    let ttl = Lifetime::Ttl(Duration::from_secs(60));
    let put = client.put(Put::new("aws", "reader", Secret::new("token"), ttl));
    let (answer, requests) = server.requests_during(put).await;
    assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn get_is_sent_again() {
    let server = HangUp::bind().await;
    let client = server.client();
    let (answer, requests) = server.requests_during(client.get("aws", "reader")).await;
    assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    assert_eq!(requests, ATTEMPTS);
}

#[tokio::test]
async fn invalidate_is_sent_again() {
    let server = HangUp::bind().await;
    let client = server.client();
    let invalidate = client.invalidate("aws", Target::All);
    let (answer, requests) = server.requests_during(invalidate).await;
    assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    assert_eq!(requests, ATTEMPTS);
}

struct HangUp(TcpListener);

impl HangUp {
    async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn client(&self) -> Client {
        let address: Address = self.0.local_addr().unwrap().to_string().parse().unwrap();
        Client::builder()
            .attempts(ATTEMPTS.try_into().unwrap())
            .connect_lazy(&address)
            .unwrap()
    }

    /// The outcome of `call`, and how many requests it took.
    async fn requests_during<T>(&self, call: impl Future<Output = T>) -> (T, usize) {
        let mut requests = 0;
        let serve = async {
            loop {
                let (connection, _) = self.0.accept().await.unwrap();
                read_request(connection).await.unwrap();
                requests += 1;
            }
        };
        let outcome = select! {
            outcome = call => outcome,
            () = serve => unreachable!("it serves for ever"),
        };
        (outcome, requests)
    }
}

/// Reads up to the frame that ends a request's message (RFC 9113, 4.1 and 6.1).
async fn read_request(mut connection: TcpStream) -> io::Result<()> {
    const PREFACE: usize = 24;
    const DATA: u8 = 0;
    const END_STREAM: u8 = 1;
    connection.read_exact(&mut [0; PREFACE]).await?;
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await?;
        let [high, middle, low, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        connection
            .read_exact(&mut vec![0; length.try_into().unwrap()])
            .await?;
        if kind == DATA && flags & END_STREAM != 0 {
            return Ok(());
        }
    }
}
