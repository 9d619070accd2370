//! Issuers that take longer than a lease, with every setting at its default and the clocks of the
//! machine.

use std::time::Duration;

use credcache_client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::{
    assert_ended,
    fetching::{Runs, command},
};
use crate::fixture::{Server, within};

const SHELLS: usize = 20;
/// Longer than a server's lease without an extension, 10 s.
const FETCH: Duration = Duration::from_secs(11);
/// How long other callers wait for a holder that has gone: a lease of 3 s, and the time to notice
/// its end.
const NEXT: Duration = Duration::from_secs(4);

fn serve() -> (Server, String) {
    let mut server = Server::start(&[]);
    let address = server.listening_on();
    (server, address)
}

#[tokio::test]
async fn issuer_slower_than_a_lease_is_asked_once_and_answers_all() {
    let (_server, address) = serve();
    let runs = Runs::new();
    let script = runs.counting(&format!("sleep {}; echo token", FETCH.as_secs()));
    let begun = Instant::now();
    let shells: Vec<_> = (0..SHELLS)
        .map(|_| command(&address, "", &script).spawn().unwrap())
        .collect();
    for shell in shells {
        let ended = within(shell.wait_with_output()).await.unwrap();
        assert_ended(&ended, 0, "");
        assert_eq!(ended.stdout, b"token\n");
    }
    let took = begun.elapsed();
    assert!(took < FETCH + Duration::from_secs(2), "{took:?}");
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn holder_that_is_killed_in_a_long_fetch_is_followed_within_seconds() {
    let (_server, address) = serve();
    let runs = Runs::new();
    let mut holder = command(&address, "", &runs.counting("sleep 1000"))
        .spawn()
        .unwrap();
    within(runs.counted(1)).await;
    let next = command(&address, "", &runs.counting("echo token"))
        .spawn()
        .unwrap();
    let client = Client::connect(&address).await.unwrap();
    // The second caller waits, and the holder has extended its lease meanwhile.
    within(async {
        while {
            let leases = client.stats(None).await.unwrap().leases;
            leases.waiting == 0 || leases.extended == 0
        } {}
    })
    .await;
    let id = i32::try_from(holder.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
    let killed = Instant::now();
    within(holder.wait()).await.unwrap();
    within(runs.counted(2)).await;
    let took = killed.elapsed();
    assert!(took < NEXT, "{took:?}");
    let ended = within(next.wait_with_output()).await.unwrap();
    assert_ended(&ended, 0, "");
    assert_eq!(ended.stdout, b"token\n");
}
