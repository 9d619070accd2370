//! Fetches that run within their caller's own future, and borrow from it.

use std::{cell::Cell, time::Duration};

use credcache_client::{
    Client, Credential, FetchOptions, Fetched, GetOrFetchError, Lifetime, Secret,
};

use crate::fake::{Fake, TTL, granted, hit, leased, stored};

type Outcome = Result<Credential, GetOrFetchError<String>>;

/// A caller whose fetch borrows, from its stack.
async fn borrowing(client: &Client, options: FetchOptions, answer: Result<&str, &str>) -> Outcome {
    let fetches = Cell::new(0);
    let fetch = || async {
        fetches.set(fetches.get() + 1);
        let token = answer.map_err(ToOwned::to_owned)?;
        let token = Secret::new(format!("{token} {}", fetches.get()));
        Ok::<_, String>(Fetched::new(token, Lifetime::Ttl(TTL)))
    };
    client
        .get_or_fetch_in_place("aws", "reader", options, fetch)
        .await
}

#[tokio::test]
async fn fetch_may_borrow_from_its_caller() {
    let mut server = Fake::start().await;
    let client = server.client();
    let outcome = borrowing(&client, FetchOptions::default(), Ok("fetched"));
    let (outcome, ()) = tokio::join!(outcome, async {
        server.get().await.answer(granted("lease"));
        let put = server.put().await;
        assert_eq!(&put.request.lease_token[..], b"lease");
        put.answer(stored(8));
    });
    let credential = outcome.unwrap();
    assert_eq!(credential.value.expose(), b"fetched 1");
    assert_eq!(credential.version, 8);
}

#[tokio::test]
async fn hit_that_is_due_is_fetched_by_the_caller_and_is_good_enough_if_that_fails() {
    let mut server = Fake::start().await;
    let client = server.client();
    let outcome = borrowing(&client, FetchOptions::default(), Ok("fetched"));
    let (outcome, ()) = tokio::join!(outcome, async {
        let get = server.get().await;
        get.answer(leased(hit("still good", 3), "lease"));
        server.put().await.answer(stored(4));
    });
    assert_eq!(outcome.unwrap().value.expose(), b"fetched 1");

    let outcome = borrowing(&client, FetchOptions::default(), Err("the issuer is down"));
    let (outcome, ()) = tokio::join!(outcome, async {
        let get = server.get().await;
        get.answer(leased(hit("still good", 3), "lease"));
        server.abandon().await.answer(Default::default());
    });
    assert_eq!(outcome.unwrap().value.expose(), b"still good");
}

#[tokio::test]
async fn failed_fetch_does_not_hold_its_caller() {
    let mut server = Fake::start().await;
    let client = server.client();
    let outcome = borrowing(&client, FetchOptions::default(), Err("the issuer is down"));
    let (outcome, ()) = tokio::join!(outcome, async {
        server.get().await.answer(granted("lease"));
        server.abandon().await.answer(Default::default());
    });
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("the issuer is down"), "{error}");
    // Others in this process needn't wait for it either.
    let outcome = borrowing(&client, FetchOptions::default(), Ok("fetched"));
    let (outcome, ()) = tokio::join!(outcome, async {
        server.get().await.answer(hit("somebody's", 9));
    });
    assert_eq!(outcome.unwrap().version, 9);
}

#[tokio::test]
async fn fetch_that_ends_with_its_caller_gives_the_lease_back() {
    let mut server = Fake::start().await;
    let client = server.client();
    let options = FetchOptions::default().timeout(Duration::from_millis(300));
    let fetch = std::future::pending::<Result<Fetched, String>>;
    let outcome = client.get_or_fetch_in_place("aws", "reader", options, fetch);
    let (outcome, ()) = tokio::join!(outcome, async {
        server.get().await.answer(granted("lease"));
        let abandon = server.abandon().await;
        assert_eq!(&abandon.request.lease_token[..], b"lease");
        abandon.answer(Default::default());
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, GetOrFetchError::TimedOut), "{error:?}");
}
