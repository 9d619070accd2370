//! The server under many clients at once. Every call is recorded, and one order of all calls, true
//! to the clock, has to explain every answer. The crate `credcache-history` defines this and proves
//! why it can be decided.
//!
//! There are few keys, so that the calls meet; lifetimes that end while other callers look the key
//! up; names and namespaces that would be equal if they were only concatenated; leases that are
//! used late or given back; and credentials that were issued a while ago.
//!
//! `CREDCACHE_OPERATIONS` sets the number of calls, and `CREDCACHE_SEED` the draws.

mod caller;
mod draw;
mod record;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use credcache_client::Client;
use credcache_history::{Room, check};
use tokio::{
    sync::mpsc,
    task::{self, JoinSet},
};

use self::{caller::Caller, draw::Draw, record::Recorder};
use crate::fixture::{Running, config, within};

const OPERATIONS: u64 = 120_000;
const CALLERS: u64 = 12;
/// The callers that share a client and its connections.
const CALLERS_TO_A_CLIENT: u64 = 3;
const CONNECTIONS_OF_A_CLIENT: usize = 2;

/// The clock advances by one moment per this many calls of a caller.
const CALLS_TO_A_MOMENT: u64 = 40;
const MOMENT: Duration = Duration::from_millis(400);

const TIERS: &str = "\
    [[tier]]\nname = 'second'\nmax_ttl = '1s'\ncapacity = '2MiB'\n\
    [[tier]]\nname = 'minute'\nmax_ttl = '1m'\ncapacity = '2MiB'\n\
    [[tier]]\nname = 'hour'\nmax_ttl = '1h'\ncapacity = '2MiB'\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_order_of_the_calls_explains_every_answer() {
    let operations = setting("CREDCACHE_OPERATIONS", OPERATIONS);
    let seed = setting("CREDCACHE_SEED", 1);
    let server = Running::start(&config(TIERS)).await;
    let recorder = Arc::new(Recorder::new(server.time.clock()));
    let (moments, mut passing) = mpsc::channel(1);
    let mut callers = JoinSet::new();
    let mut clients = [connect(&server).await, connect(&server).await];
    for nth in 0..CALLERS {
        if nth % CALLERS_TO_A_CLIENT == 0 {
            clients = [connect(&server).await, connect(&server).await];
        }
        let draw = Draw::new(nth, seed * CALLERS + nth);
        let mut caller = Caller::new(clients.clone(), recorder.clone(), draw);
        let moments = moments.clone();
        callers.spawn(async move {
            for call in 0..operations.div_ceil(CALLERS) {
                if call % CALLS_TO_A_MOMENT == 0 {
                    moments.send(()).await.unwrap();
                }
                caller.call().await;
            }
            caller.record()
        });
    }
    drop(moments);
    while within(passing.recv()).await.is_some() {
        server.time.pass(MOMENT);
        let (cache, now) = (server.cache.clone(), server.time.clock().now());
        task::spawn_blocking(move || cache.reclaim(now))
            .await
            .unwrap();
    }

    let history = callers.join_all().await.concat();
    assert!(history.len() as u64 >= operations);
    assert_nothing_was_pushed_out(&server).await;
    if let Err(violation) = check(&history, Room::Ample) {
        panic!("seed {seed}: {violation}");
    }
    let tally = record::tally(&history);
    println!("{} calls: {tally:?}", history.len());
    assert_everything_happened(&tally, history.len());
}

async fn connect(server: &Running) -> Client {
    let address = server.address.to_string().parse().unwrap();
    let client = Client::builder().connections(CONNECTIONS_OF_A_CLIENT);
    within(client.connect(&address)).await.unwrap()
}

async fn assert_nothing_was_pushed_out(server: &Running) {
    let stats = within(server.client().await.stats(None)).await.unwrap();
    assert!(stats.tiers.iter().all(|tier| tier.evictions == 0));
    let expirations: u64 = stats.tiers.iter().map(|tier| tier.expirations).sum();
    assert!(expirations > 0, "nothing expired");
}

/// Fails if something didn't happen: any order would explain a history of misses.
fn assert_everything_happened(tally: &BTreeMap<&str, usize>, calls: usize) {
    for kind in record::KINDS {
        let share = tally.get(kind).copied().unwrap_or_default() * 1_000 / calls;
        assert!(share > 0, "less than one in a thousand: {kind}; {tally:?}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "settings of the test, not of the program"
)]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}
