//! Callers that go away while they wait, and holders that never come back.

use prost::{Message, bytes::Bytes};
use tokio::{task::JoinSet, time::timeout};

use super::LEASE;
use crate::{
    fixture::{RawClient, Running, TWO_TIERS, config, framed, within},
    messages::{SECOND, fill, hit, leased, outcome, park, stats, stored, until_waiting, waiting},
};

#[tokio::test]
async fn caller_that_gives_up_leaves_its_place_to_the_next() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let first = park(&mut stub, waiting("reader"), 1).await;
    let second = park(&mut stub, waiting("reader"), 2).await;
    first.abort();
    until_waiting(&mut stub, 1).await;
    server.time.pass(LEASE);
    server.reclaim();
    let lease = outcome(second).await.lease.expect("its turn");
    stored(&mut stub, fill("reader", &lease)).await;
    let leases = stats(&mut stub).await.leases.unwrap();
    assert_eq!((leases.granted, leases.expired, leases.waiting), (2, 1, 0));
}

#[tokio::test]
async fn connection_that_breaks_leaves_the_places_of_its_calls_to_the_next() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let mut client = RawClient::connect(server.address).await;
    let path = "/credcache.v1.CredentialCacheService/Get";
    let message = Bytes::from(framed(&waiting("reader").encode_to_vec()));
    let mut calls = Vec::new();
    for _ in 0..3 {
        let (response, mut body) = client.begin(path, &[]).await.unwrap();
        body.send_data(message.clone(), true).unwrap();
        calls.push(response);
    }
    until_waiting(&mut stub, 3).await;
    let last = park(&mut stub, waiting("reader"), 4).await;
    client.connection.abort();
    until_waiting(&mut stub, 1).await;
    server.time.pass(LEASE);
    server.reclaim();
    assert!(outcome(last).await.lease.is_some());
    assert_eq!(stats(&mut stub).await.leases.unwrap().granted, 2);
}

#[tokio::test]
async fn lease_that_runs_out_goes_to_one_of_those_who_wait() {
    const CALLERS: u64 = 8;
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    leased(&mut stub, "reader").await;
    let mut parked = JoinSet::new();
    for nth in 1..=CALLERS {
        let parking = park(&mut stub, waiting("reader"), nth).await;
        parked.spawn(outcome(parking));
    }
    server.time.pass(LEASE);
    server.reclaim();
    server.reclaim();
    let first = within(parked.join_next()).await.unwrap().unwrap();
    let lease = first.lease.expect("its turn");
    let leases = stats(&mut stub).await.leases.unwrap();
    assert_eq!((leases.granted, leases.waiting), (2, CALLERS - 1));

    let version = stored(&mut stub, fill("reader", &lease)).await;
    while let Some(answer) = within(parked.join_next()).await {
        let answer = answer.unwrap();
        assert!(answer.lease.is_none());
        assert_eq!(hit(answer).version, version);
    }
}

/// The caller's end is sent before the lease is granted, but may still be on its way, which the
/// server can't know.
#[tokio::test]
async fn lease_is_not_kept_by_a_caller_that_has_left() {
    const ROUNDS: usize = 100;
    let mut kept = 0;
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let mut client = RawClient::connect(server.address).await;
    let path = "/credcache.v1.CredentialCacheService/Get";
    for round in 0..ROUNDS {
        let key = format!("key{round}");
        leased(&mut stub, &key).await;
        let (response, mut body) = client.begin(path, &[]).await.unwrap();
        let message = framed(&waiting(&key).encode_to_vec());
        body.send_data(message.into(), true).unwrap();
        until_waiting(&mut stub, 1).await;
        let mut staying = park(&mut stub, waiting(&key), 2).await;
        server.time.pass(LEASE);
        drop((response, body));
        // Lets the client's connection write it.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        server.reclaim();
        within(async { while stats(&mut stub).await.leases.unwrap().waiting == 2 {} }).await;
        // Runs the reclaimer's step without any time passing.
        server.reclaim();
        if timeout(SECOND, &mut staying).await.is_err() {
            kept += 1;
            assert!(kept <= ROUNDS / 5, "{kept} of {} rounds", round + 1);
            server.time.pass(LEASE);
            server.reclaim();
            assert!(outcome(staying).await.lease.is_some());
        }
        until_waiting(&mut stub, 0).await;
    }
    println!("{kept} of {ROUNDS} were kept");
}

/// The caller goes away before or after the lease is granted. If the answer was sent first, the
/// server can't know that the caller has gone.
#[tokio::test]
async fn lease_stays_no_longer_than_its_time_with_a_caller_that_is_leaving() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let mut leaving_stub = server.stub().await;
    for round in 0..200 {
        let key = format!("key{round}");
        leased(&mut stub, &key).await;
        let leaving = park(&mut leaving_stub, waiting(&key), 1).await;
        let staying = park(&mut stub, waiting(&key), 2).await;
        server.time.pass(LEASE);
        leaving.abort();
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        server.reclaim();
        within(async { while stats(&mut stub).await.leases.unwrap().waiting == 2 {} }).await;
        server.time.pass(LEASE);
        server.reclaim();
        assert!(outcome(staying).await.lease.is_some(), "round {round}");
        until_waiting(&mut stub, 0).await;
    }
}
