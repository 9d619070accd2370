//! What a user of the client library sees while everything around the client breaks.
//!
//! Three programs run beside each other: 200 tasks that call `get_or_fetch`, a near cache with its
//! callers, and a program that revokes. The server is killed and stopped, and the links of the
//! first two programs are cut, stalled and slowed down. The issuer gives every credential a number
//! and knows when it ends and when it was revoked, so the verdict doesn't depend on what the client
//! says.
//!
//! The test takes 30 seconds by default; `CREDCACHE_SOAK_SECONDS` sets another time, and five
//! minutes are a good one.

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

mod faults;
mod issuer;
#[path = "../near_cache/link.rs"]
#[allow(dead_code, reason = "the near cache's own test needs more of it")]
mod link;
mod programs;
mod server;
mod verdict;

use std::{sync::Arc, time::Duration};

use credcache_client::Client;
use tokio::{runtime::Handle, time::sleep};

use faults::Faults;
use issuer::{Issuer, KEYS, NAMESPACE, key, now};
use link::Link;
use programs::{Near, Program, Revoker};
use server::Server;
use verdict::Verdict;

/// The default bound of a near cache.
const BOUND: Duration = Duration::from_secs(2);
/// How long a fault may have effects after its end.
const RECOVERY: Duration = Duration::from_secs(5);
/// Longer than anything that a call leaves behind.
const BACK: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_handed_out_late_and_everything_comes_back_whatever_breaks() {
    let baseline = Handle::current().metrics().num_alive_tasks();
    let memory = resident();
    let server = Server::start().await;
    let issuer = Arc::new(Issuer::new());
    let verdict = Arc::new(Verdict::default());
    let links = [
        Arc::new(Link::to(server.address).await),
        Arc::new(Link::to(server.address).await),
    ];
    let direct = Arc::new(Link::to(server.address).await);

    let many = Program::start(&links[0], &issuer, &verdict).await;
    let near = Near::start(&links[1], &issuer, &verdict).await;
    let revoker = Revoker::start(&direct, &issuer).await;

    let mut faults = Faults::new(
        server,
        links.clone(),
        Arc::clone(&direct),
        Arc::clone(&issuer),
    );
    faults.run(seconds()).await;
    let recovered = recovery(&many.client).await;

    many.stop().await;
    near.stop().await;
    revoker.stop().await;
    verdict.print();
    issuer.print(&faults.outages);
    println!("{}; hits again after {recovered:?}", faults.summary());

    verdict.assert_good();
    issuer.assert_few_calls(&faults.outages);
    let recovered = recovered.expect("not every key was a hit again in time");
    assert!(recovered <= RECOVERY, "{recovered:?}");
    drop((faults, links, direct, issuer));
    assert_everything_comes_back(baseline, memory).await;
}

/// The time until every key has been a hit.
async fn recovery(client: &Client) -> Option<Duration> {
    let begun = now();
    let mut open: Vec<usize> = (0..KEYS).collect();
    while !open.is_empty() {
        if now() > begun + RECOVERY {
            return None;
        }
        let mut still = Vec::new();
        for number in open {
            let lookup = client.get(NAMESPACE, key(number)).await;
            if !lookup.is_ok_and(|lookup| lookup.hit().is_some()) {
                still.push(number);
            }
        }
        open = still;
        sleep(Duration::from_millis(5)).await;
    }
    Some(now() - begun)
}

async fn assert_everything_comes_back(tasks: usize, memory: u64) {
    let begun = now();
    let metrics = Handle::current().metrics();
    while metrics.num_alive_tasks() > tasks {
        let alive = metrics.num_alive_tasks();
        assert!(now() < begun + BACK, "{alive} tasks, {tasks} at the start");
        sleep(Duration::from_millis(20)).await;
    }
    let grown = resident().saturating_sub(memory);
    println!("tasks back after {:?}, {grown} KiB more", now() - begun);
    assert!(grown < 64 * 1024, "{grown} KiB more than at the start");
}

/// The memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test's own setting, which no configuration holds"
)]
fn seconds() -> Duration {
    let seconds = std::env::var("CREDCACHE_SOAK_SECONDS");
    Duration::from_secs(seconds.map_or(30, |seconds| seconds.parse().unwrap()))
}
