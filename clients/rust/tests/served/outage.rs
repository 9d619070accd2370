//! Without the cache, its callers go on.

use std::{sync::Arc, time::Duration};

use credcache_client::{Client, Code, FetchOptions, GetOrFetchError, OnOutage};
use tokio::{net::TcpListener, sync::Semaphore, time::Instant};

use crate::{
    fake::{Fake, granted},
    get_or_fetch::{Issuer, call, value},
};

/// A client of a port that nobody listens on.
async fn of_nobody() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    Client::builder().connect_lazy(&address).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_caller_fetches_for_the_process_while_there_is_no_server() {
    const CALLERS: usize = 50;
    let client = of_nobody().await;
    let issuer = Issuer::default();
    let go_on = Arc::new(Semaphore::new(0));
    let calls: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, issuer, go_on) = (client.clone(), issuer.clone(), Arc::clone(&go_on));
            tokio::spawn(async move {
                let fetch = move || {
                    let (issuer, go_on) = (issuer.clone(), Arc::clone(&go_on));
                    async move {
                        let _permit = go_on.acquire().await.unwrap();
                        issuer.fetch()
                    }
                };
                client.get_or_fetch("aws", "reader", fetch).await
            })
        })
        .collect();
    // The time is up when nobody has anything left to do but to wait for the one
    // who fetches: each call has given the cache up, which takes it a second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    go_on.add_permits(1);
    for call in calls {
        assert_eq!(value(call.await.unwrap()), "fetched 1");
    }
    assert_eq!(issuer.fetches(), 1);
    // Who comes later doesn't get what was fetched for those.
    assert_eq!(
        value(self::call(&client, &issuer).await.unwrap()),
        "fetched 2"
    );
}

#[tokio::test]
async fn outage_is_the_callers_if_that_is_asked_for() {
    let client = of_nobody().await;
    let issuer = Issuer::default();
    let options = FetchOptions::default().on_outage(OnOutage::Fail);
    let fetch = {
        let issuer = issuer.clone();
        move || std::future::ready(issuer.fetch())
    };
    let outcome = client
        .get_or_fetch_with("aws", "reader", options, fetch)
        .await;
    assert!(
        matches!(outcome, Err(GetOrFetchError::Cache(_))),
        "{outcome:?}"
    );
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn server_that_is_silent_costs_a_part_of_the_timeout() {
    let mut server = Fake::start().await;
    let timeout = Duration::from_secs(2);
    let issuer = Issuer::default();
    let begun = Instant::now();
    let outcome = call(&server.client().with_timeout(timeout), &issuer);
    let _unanswered = server.get().await;
    assert_eq!(value(outcome.await.unwrap()), "fetched 1");
    let passed = begun.elapsed();
    assert!(passed >= timeout / 4 && passed < timeout, "{passed:?}");
}

#[tokio::test]
async fn what_cannot_be_stored_is_handed_out_all_the_same() {
    let mut server = Fake::start().await;
    let outcome = call(&server.client(), &Issuer::default());
    server.get().await.answer(granted("lease"));
    server.put().await.refuse(Code::Internal, "INTERNAL");
    let credential = outcome.await.unwrap().unwrap();
    assert_eq!(credential.value.expose(), b"fetched 1");
    assert_eq!((credential.version, &credential.tier[..]), (0, ""));
    let abandon = server.abandon().await;
    assert_eq!(&abandon.request.lease[..], b"lease");
    abandon.answer(Default::default());
}

#[tokio::test]
async fn server_without_room_for_a_lease_still_stores() {
    let mut server = Fake::start().await;
    let outcome = call(&server.client(), &Issuer::default());
    let get = server.get().await;
    get.refuse(Code::ResourceExhausted, "TOO_MANY_LEASES");
    let put = server.put().await;
    assert!(put.request.lease.is_empty());
    // Else a revocation while it was being fetched would be lost.
    assert!(put.request.issued_at.is_some());
    put.refuse(Code::Aborted, "REVOKED");
    let get = server.get().await;
    get.refuse(Code::ResourceExhausted, "TOO_MANY_LEASES");
    server.put().await.answer(crate::fake::stored(5));
    assert_eq!(value(outcome.await.unwrap()), "fetched 2");
}

#[tokio::test]
async fn caller_that_may_not_ask_is_told_and_does_not_fetch() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    let get = server.get().await;
    get.refuse(Code::PermissionDenied, "NOT_GRANTED");
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::Cache(_)), "{error:?}");
    assert_eq!(issuer.fetches(), 0);
}
