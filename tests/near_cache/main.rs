//! How long a near cache goes on returning a revoked credential over a network that breaks: no
//! longer than its heartbeat bound and a round trip.
//!
//! A writer puts and revokes over a connection of its own, at the rate and in the order of a fixed
//! sequence. Near caches read over links that are cut, refuse connections and stall at random.
//! Every returned credential is compared with the time at which its revocation was answered. The
//! value of a credential is a number, and a revocation voids numbers, so the verdict doesn't depend
//! on the versions that the cache itself uses.
//!
//! `CREDCACHE_NEAR_ROUNDS` sets the number of revocations.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy knows #[test] functions, but not what they share"
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "a few minutes in nanoseconds, and small numbers"
)]

mod issuer;
mod link;
mod mesh;
mod observer;
mod restart;
mod server;
mod verdict;
mod weather;
mod writer;

use std::{sync::Arc, time::Duration};

use issuer::Issuer;
use link::Link;
use mesh::Reader;
use observer::Observer;
use server::Running;
use verdict::Verdict;

/// The default bound of a near cache.
const BOUND: Duration = Duration::from_secs(2);
const ROUNDS: u64 = 10_000;
/// The number of readers with links of their own.
const READERS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_revoked_is_returned_later_than_the_bound_and_a_round_trip() {
    let rounds = rounds();
    let server = Running::start().await;
    let issuer = Arc::new(Issuer::new());
    let verdict = Arc::new(Verdict::default());
    let direct = server::client(server.address).await;

    let mut readers = Vec::new();
    for seed in 0..READERS {
        readers.push(Reader::start(seed, server.address).await);
    }
    let calm = Link::to(server.address).await;
    let probe = tokio::spawn(mesh::probe(server::client(calm.address).await));
    let observer = Observer::start(&readers, &issuer);
    for (seed, reader) in (0..).zip(&mut readers) {
        reader.work(seed, &issuer, &verdict);
    }

    writer::run(&direct, &issuer, rounds).await;
    // The wait covers the last revocations.
    tokio::time::sleep(BOUND * 3 / 2).await;

    probe.abort();
    let seen = observer.stop();
    let mut outages = 0;
    for reader in readers {
        outages += reader.stop().await;
    }
    let round_trip = match probe.await {
        Err(stopped) if stopped.is_cancelled() => mesh::longest_round_trip(),
        outcome => panic!("the probe ended: {outcome:?}"),
    };
    println!("{rounds} revocations, {outages} outages, round trip {round_trip:?}");
    seen.print();
    verdict.print();

    assert!(
        round_trip < BOUND / 2,
        "the machine is too slow to tell: {round_trip:?}"
    );
    assert_eq!(seen.went_back, 0, "an older version after a newer one");
    for (whence, excess) in [("kept", seen.excess), ("answered", verdict.excess())] {
        assert!(
            excess <= round_trip,
            "what was revoked was {whence} {excess:?} past the bound, with a round trip of {round_trip:?}"
        );
    }
    seen.assert_meaningful();
    verdict.assert_meaningful();
    assert!(outages >= 10, "{outages} outages test nothing");
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test's own setting, which no configuration holds"
)]
fn rounds() -> u64 {
    std::env::var("CREDCACHE_NEAR_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}
