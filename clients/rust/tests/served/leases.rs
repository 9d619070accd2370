//! Leases, asked for and given back by hand.

use std::time::{Duration, SystemTime};

use credcache_client::{Error, GetOptions, Lifetime, Lookup, MissReason, Put, Secret};
use tonic::Code;

use crate::fake::{Fake, TTL, granted, pending, span, stored};

const WAIT: Duration = Duration::from_secs(3);

#[tokio::test]
async fn lease_is_granted_and_used_by_a_put() {
    let mut server = Fake::start().await;
    let client = server.client();
    let options = GetOptions::default().acquire_lease(true).wait(WAIT);
    let (answer, ()) = tokio::join!(client.lookup("aws", "reader", options), async {
        let get = server.get().await;
        assert!(get.request.acquire_lease);
        let wait = Duration::try_from(get.request.wait.unwrap()).unwrap();
        assert!(wait <= WAIT && wait > WAIT / 2, "{wait:?}");
        get.answer(granted("0123456789abcdef"));
    });
    let answer = answer.unwrap();
    assert!(matches!(answer.lookup, Lookup::Miss(_)));
    let lease = answer.lease.unwrap();

    let token = Secret::new("token");
    let put = Put::new("aws", "reader", token, Lifetime::Ttl(TTL))
        .lease(&lease)
        .issued_at(SystemTime::UNIX_EPOCH);
    let (put, ()) = tokio::join!(client.put(put), async {
        let put = server.put().await;
        assert_eq!(&put.request.lease_token[..], b"0123456789abcdef");
        put.refuse(Code::Aborted, "REVOKED");
    });
    assert_eq!(put.unwrap_err().reason(), Some("REVOKED"));

    let retry_after = Some(Duration::from_secs(9));
    let abandoned = client.abandon_lease("aws", "reader", &lease, retry_after);
    let (abandoned, ()) = tokio::join!(abandoned, async {
        let abandon = server.abandon().await;
        assert_eq!(&abandon.request.lease_token[..], b"0123456789abcdef");
        assert_eq!(abandon.request.retry_after, retry_after.map(span));
        abandon.refuse(Code::Aborted, "LEASE_LOST");
    });
    assert_eq!(abandoned.unwrap_err().reason(), Some("LEASE_LOST"));
}

#[tokio::test]
async fn get_that_has_no_place_for_a_lease_asks_for_none() {
    let mut server = Fake::start().await;
    let client = server.client();
    let options = GetOptions::default().acquire_lease(true);
    let (lookup, ()) = tokio::join!(client.get_with("aws", "reader", options), async {
        let get = server.get().await;
        assert!(!get.request.acquire_lease);
        get.answer(pending());
    });
    assert!(matches!(lookup, Ok(Lookup::Miss(miss)) if miss.reason == MissReason::Pending));
}

#[tokio::test]
async fn wait_comes_on_top_of_the_timeout() {
    let mut server = Fake::start().await;
    let short = Duration::from_millis(50);
    let client = server.client().with_timeout(short);
    let options = GetOptions::default().wait(short * 4);
    let begun = tokio::time::Instant::now();
    let (lookup, _unanswered) =
        tokio::join!(client.get_with("aws", "reader", options), server.get());
    assert!(matches!(lookup, Err(Error::DeadlineExceeded)), "{lookup:?}");
    assert!(begun.elapsed() >= short * 5);
}

#[tokio::test]
async fn answer_without_a_lease_has_none() {
    let mut server = Fake::start().await;
    let client = server.client();
    let put = Put::new("aws", "reader", Secret::new("token"), Lifetime::Ttl(TTL));
    let (put, ()) = tokio::join!(client.put(put), async {
        let put = server.put().await;
        assert!(put.request.lease_token.is_empty());
        put.answer(stored(7));
    });
    assert_eq!(put.unwrap().version, 7);
}
