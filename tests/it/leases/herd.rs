//! A thousand callers of one cold key, over many connections.

use credcache_client::proto::{GetResponse, Lease};
use tokio::task::JoinSet;

use super::LEASE;
use crate::{
    fixture::{Running, Stub, config, within},
    messages::{aborted, fill, hit, stats, stored, until_waiting, waiting},
};

const CALLERS: u64 = 1_000;
const CONNECTIONS: u64 = 20;

/// Starts all callers at once, and returns them with the granted lease.
async fn stampede(server: &Running) -> (JoinSet<GetResponse>, Lease) {
    let mut calls = JoinSet::new();
    let mut stubs: Vec<Stub> = Vec::new();
    for _ in 0..CONNECTIONS {
        stubs.push(server.stub().await);
    }
    for (_, stub) in (0..CALLERS).zip(stubs.iter().cycle()) {
        let mut stub = stub.clone();
        calls.spawn(async move { stub.get(waiting("cold")).await.unwrap().into_inner() });
    }
    let first = within(calls.join_next()).await.unwrap().unwrap();
    (calls, first.lease.expect("no other caller is answered yet"))
}

async fn all_hit(mut calls: JoinSet<GetResponse>, version: u64) -> u64 {
    let mut hits = 0;
    while let Some(answer) = within(calls.join_next()).await {
        let answer = answer.unwrap();
        assert!(answer.lease.is_none());
        assert_eq!(hit(answer).version, version);
        hits += 1;
    }
    hits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn herd_fetches_once_and_all_others_hit() {
    let server = Running::start(&config("")).await;
    let mut stub = server.stub().await;
    let (calls, lease) = stampede(&server).await;
    until_waiting(&mut stub, CALLERS - 1).await;
    let version = stored(&mut stub, fill("cold", &lease)).await;
    assert_eq!(all_hit(calls, version).await, CALLERS - 1);
    let leases = stats(&mut stub).await.leases.unwrap();
    assert_eq!((leases.granted, leases.filled), (1, 1));
    assert_eq!((leases.waits, leases.waiting), (CALLERS - 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn herd_whose_holder_dies_fetches_once_more() {
    let server = Running::start(&config("")).await;
    let mut stub = server.stub().await;
    let (mut calls, dead) = stampede(&server).await;
    until_waiting(&mut stub, CALLERS - 1).await;
    server.time.pass(LEASE);
    server.reclaim();
    let next = within(calls.join_next()).await.unwrap().unwrap();
    let lease = next.lease.expect("its turn");
    assert_eq!(aborted(&mut stub, fill("cold", &dead)).await, "LEASE_LOST");
    until_waiting(&mut stub, CALLERS - 2).await;
    let version = stored(&mut stub, fill("cold", &lease)).await;
    assert_eq!(all_hit(calls, version).await, CALLERS - 2);
    let leases = stats(&mut stub).await.leases.unwrap();
    assert_eq!((leases.granted, leases.filled, leases.expired), (2, 1, 1));
}
