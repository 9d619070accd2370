//! How a Put states a relative lifetime: so that it doesn't grow on the way.

use std::time::{Duration, SystemTime};

use credcache_client::{Client, Error, Lifetime, Put, Secret};
use tokio::time::sleep;
use tonic::Code;

use crate::{
    fake::{Fake, TTL, hit, stored},
    proto::{
        PutResponse,
        put_request::{Lifetime as Sent, Precondition},
    },
};

const MINUTE: Duration = Duration::from_secs(60);

fn put() -> Put {
    Put::new("aws", "reader", Secret::new("token"), Lifetime::Ttl(MINUTE))
}

#[allow(
    clippy::disallowed_methods,
    reason = "the clock of the server that the test plays"
)]
fn wall_now() -> SystemTime {
    SystemTime::now()
}

/// What the server's clock shows: that of `hit`, which ends at a fixed time.
fn shown() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000) - TTL
}

/// Has the client hear of the server's clock, from an answer that was held up.
async fn hear_of_the_clock(server: &mut Fake, client: &Client, held_up: Duration) {
    let (lookup, ()) = tokio::join!(client.get("aws", "other"), async {
        let get = server.get().await;
        sleep(held_up).await;
        get.answer(hit("token", 3));
    });
    assert!(lookup.unwrap().hit().is_some());
}

fn end(sent: Option<Sent>) -> SystemTime {
    let Some(Sent::ExpiresAt(end)) = sent else {
        panic!("a relative lifetime is sent")
    };
    end.try_into().unwrap()
}

// Found when a credential was a hit for up to 1.43 s past the issuer's end, because
// its Put had been under way for so long.
#[tokio::test]
async fn end_is_sent_by_the_servers_clock_once_that_is_known() {
    let mut server = Fake::start().await;
    let client = server.client();
    let held_up = Duration::from_millis(300);
    hear_of_the_clock(&mut server, &client, held_up).await;
    let heard = tokio::time::Instant::now();
    let (stored, ()) = tokio::join!(client.put(put()), async {
        let put = server.put().await;
        // However late it is read here: no later than the lifetime ends, counted
        // from the answer's arrival at the earliest.
        let latest = shown() + MINUTE + heard.elapsed();
        let end = end(put.request.lifetime);
        assert!(end <= latest, "{:?}", end.duration_since(latest));
        let short = latest.duration_since(end).unwrap();
        assert!(short < MINUTE / 10, "{short:?}");
        put.answer(stored(7));
    });
    assert_eq!(stored.unwrap().version, 7);
    assert!(server.is_idle());
}

#[tokio::test]
async fn first_put_that_took_long_is_put_right() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (stored, ()) = tokio::join!(client.put(put()), async {
        let first = server.put().await;
        let Some(Sent::Ttl(ttl)) = first.request.lifetime else {
            panic!("nothing is known of the clock yet")
        };
        let begun = wall_now();
        // Read late, and counted from then.
        sleep(Duration::from_millis(300)).await;
        first.answer(PutResponse {
            version: 7,
            tier: "1-minute".into(),
            expires_at: Some((wall_now() + Duration::try_from(ttl).unwrap()).into()),
        });
        let right = server.put().await;
        assert!(right.request.precondition == Some(Precondition::IfVersion(7)));
        let end = end(right.request.lifetime);
        let over = end.duration_since(begun + MINUTE).unwrap_or_default();
        assert!(over.is_zero(), "{over:?}");
        right.answer(stored(8));
    });
    assert_eq!(stored.unwrap().version, 8);

    // If it was replaced meanwhile, there is nothing to put right.
    let client = server.client();
    let (stored, ()) = tokio::join!(client.put(put()), async {
        let first = server.put().await;
        sleep(Duration::from_millis(300)).await;
        first.answer(PutResponse {
            version: 9,
            tier: "1-minute".into(),
            expires_at: Some((wall_now() + MINUTE).into()),
        });
        server.put().await.refuse(Code::Aborted, "VERSION_DIFFERS");
    });
    assert_eq!(stored.unwrap().version, 9);
}

#[tokio::test]
async fn end_that_the_server_refuses_is_sent_as_what_is_left() {
    let mut server = Fake::start().await;
    let client = server.client();
    hear_of_the_clock(&mut server, &client, Duration::ZERO).await;
    let (stored, ()) = tokio::join!(client.put(put()), async {
        let put = server.put().await;
        end(put.request.lifetime);
        put.refuse_field("expires_at");
        let put = server.put().await;
        let Some(Sent::Ttl(ttl)) = put.request.lifetime else {
            panic!("the clock was wrong")
        };
        assert!(Duration::try_from(ttl).unwrap() < MINUTE);
        put.answer(stored(7));
    });
    assert_eq!(stored.unwrap().version, 7);
}

#[tokio::test]
async fn end_that_was_stated_is_sent_as_it_is() {
    let mut server = Fake::start().await;
    let client = server.client();
    hear_of_the_clock(&mut server, &client, Duration::ZERO).await;
    let at = SystemTime::UNIX_EPOCH + MINUTE;
    let put = Put::new(
        "aws",
        "reader",
        Secret::new("token"),
        Lifetime::ExpiresAt(at),
    );
    let (refused, ()) = tokio::join!(client.put(put), async {
        let put = server.put().await;
        assert_eq!(end(put.request.lifetime), at);
        put.refuse_field("expires_at");
    });
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert!(server.is_idle());
}
