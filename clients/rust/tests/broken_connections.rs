//! What the server has read when a connection breaks, and what becomes of the
//! call. A plain socket plays the server: it reads one request to its end, as
//! much of HTTP/2 as that takes, and hangs up.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::{io, time::Duration};

use credcache_client::{
    Address, Client, Error, Lease, LeaseToken, Lifetime, Put, Secret, Target, proto,
};
use prost::Message;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    select,
};

const ATTEMPTS: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);

fn put() -> Put {
    let token = Secret::new("token");
    Put::new("aws", "reader", token, Lifetime::Ttl(MINUTE))
}

#[tokio::test]
async fn put_that_may_have_been_stored_is_not_sent_again() {
    let server = HangUp::bind().await;
    let client = server.client();
    let (answer, requests) = server.requests_during(client.put(put())).await;
    assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    assert_eq!(requests.len(), 1);
}

// The server answers the second one what it answered the first.
#[tokio::test]
async fn put_under_a_lease_is_sent_again() {
    let server = HangUp::bind().await;
    let client = server.client();
    let lease = Lease::new(LeaseToken::new(&b"0123456789abcdef"[..]), MINUTE);
    let put = client.put(put().lease(&lease));
    let (answer, requests) = server.requests_during(put).await;
    assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    assert_eq!(requests.len(), ATTEMPTS);
}

#[tokio::test]
async fn put_asks_for_what_is_left_of_its_lifetime_the_first_time_too() {
    use proto::put_request::Lifetime;

    let server = HangUp::bind().await;
    let client = server.client();
    let (_, requests) = server.requests_during(client.put(put())).await;
    let request = proto::PutRequest::decode(&requests[0][..]).unwrap();
    let Some(Lifetime::Ttl(ttl)) = request.lifetime else {
        panic!("the lifetime is relative");
    };
    assert!(Duration::try_from(ttl).unwrap() < MINUTE, "{ttl:?}");
}

#[tokio::test]
async fn get_is_sent_again() {
    let server = HangUp::bind().await;
    let client = server.client();
    let (answer, requests) = server.requests_during(client.get("aws", "reader")).await;
    assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    assert_eq!(requests.len(), ATTEMPTS);
}

#[tokio::test]
async fn invalidate_is_sent_again() {
    let server = HangUp::bind().await;
    let client = server.client();
    let invalidate = client.invalidate("aws", Target::All);
    let (answer, requests) = server.requests_during(invalidate).await;
    assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    assert_eq!(requests.len(), ATTEMPTS);
}

#[tokio::test]
async fn batch_put_that_may_have_been_stored_is_not_sent_again_nor_is_what_comes_after_it() {
    let server = HangUp::bind().await;
    let client = server.client();
    let batch = client.batch_put(vec![put(); 1001]);
    let (answers, requests) = server.requests_during(batch).await;
    assert_eq!(answers.len(), 1001);
    for answer in answers {
        assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    }
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn batch_put_asks_for_what_is_left_and_leaves_out_what_has_ended() {
    use proto::put_request::Lifetime as Wire;

    let server = HangUp::bind().await;
    let client = server.client();
    let ended = Put::new(
        "aws",
        "ended",
        Secret::new("token"),
        Lifetime::Ttl(Duration::ZERO),
    );
    let batch = client.batch_put(vec![ended, put()]);
    let (_, requests) = server.requests_during(batch).await;
    let request = proto::BatchPutRequest::decode(&requests[0][..]).unwrap();
    let [put] = &request.requests[..] else {
        panic!("{} requests", request.requests.len());
    };
    let Some(Wire::Ttl(ttl)) = put.lifetime else {
        panic!("the lifetime is relative");
    };
    assert!(Duration::try_from(ttl).unwrap() < MINUTE, "{ttl:?}");
}

#[tokio::test]
async fn batch_get_is_sent_again() {
    let server = HangUp::bind().await;
    let client = server.client();
    let batch = client.batch_get("aws", ["reader"], None);
    let (answer, requests) = server.requests_during(batch).await;
    assert!(matches!(answer, Err(Error::Disconnected(_))), "{answer:?}");
    assert_eq!(requests.len(), ATTEMPTS);
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

    /// The outcome of `call`, and the message of every request it took.
    async fn requests_during<T>(&self, call: impl Future<Output = T>) -> (T, Vec<Vec<u8>>) {
        let mut requests = Vec::new();
        let serve = async {
            loop {
                let (connection, _) = self.0.accept().await.unwrap();
                requests.push(read_request(connection).await.unwrap());
            }
        };
        let outcome = select! {
            outcome = call => outcome,
            () = serve => unreachable!("it serves for ever"),
        };
        (outcome, requests)
    }
}

/// Reads up to the frame that ends a request (RFC 9113, 4.1 and 6.1), and
/// answers with its message.
async fn read_request(mut connection: TcpStream) -> io::Result<Vec<u8>> {
    const PREFACE: usize = 24;
    const MESSAGE_HEAD: usize = 5;
    const DATA: u8 = 0;
    const END_STREAM: u8 = 1;
    connection.read_exact(&mut [0; PREFACE]).await?;
    let mut data = Vec::new();
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await?;
        let [high, middle, low, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let mut payload = vec![0; length.try_into().unwrap()];
        connection.read_exact(&mut payload).await?;
        if kind == DATA {
            data.append(&mut payload);
            if flags & END_STREAM != 0 {
                return Ok(data.split_off(MESSAGE_HEAD));
            }
        }
    }
}
