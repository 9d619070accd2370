//! A thousand callers of one cold key, as in a thousand services: over their own connections,
//! against a server on the machine's clock.

use std::{
    io,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use credcache_client::{Client, FetchError, FetchOptions, Fetched, Lifetime, Secret, Stats};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    task::JoinSet,
};

use crate::fixture::{Server, credcache, within};

const CLIENTS: usize = 20;
const CALLERS: usize = 1_000;

struct Herd {
    clients: Vec<Client>,
    fetches: Arc<AtomicUsize>,
}

impl Herd {
    async fn of(address: &str) -> Self {
        let address = address.parse().unwrap();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let client = Client::builder().connections(1).connect(&address);
            clients.push(within(client).await.unwrap());
        }
        Self {
            clients,
            fetches: Arc::default(),
        }
    }

    /// Starts all calls at once. A fetch ends when `ready` does.
    fn call<Ready>(&self, ready: impl Fn(Client) -> Ready + Clone + Send + Sync + 'static) -> Calls
    where
        Ready: Future<Output = ()> + Send + 'static,
    {
        let mut calls = JoinSet::new();
        for client in self.clients.iter().cycle().take(CALLERS) {
            let (fetches, ready) = (self.fetches.clone(), ready.clone());
            let (client, other) = (client.clone(), client.clone());
            let fetch = move || {
                let ready = ready(other.clone());
                let number = fetches.fetch_add(1, Ordering::SeqCst);
                async move {
                    ready.await;
                    let value = Secret::new(format!("token {number}"));
                    let lifetime = Lifetime::Ttl(Duration::from_secs(900));
                    Ok::<_, FetchError<io::Error>>(Fetched::new(value, lifetime))
                }
            };
            // The timeout is long enough that a busy machine doesn't make the server count as
            // unreachable.
            let timeout = Duration::from_secs(20);
            let options = FetchOptions::default()
                .timeout(timeout)
                .server_timeout(timeout);
            calls.spawn(async move {
                let credential = client.get_or_fetch_with("oauth", "billing", options, fetch);
                credential.await.unwrap().value.expose().to_vec()
            });
        }
        calls
    }

    async fn stats(&self) -> Stats {
        within(self.clients[0].stats(None)).await.unwrap()
    }
}

type Calls = JoinSet<Vec<u8>>;

async fn assert_all_have_the_only_value(calls: Calls) {
    let values = within(calls.join_all()).await;
    assert_eq!(values.len(), CALLERS);
    assert!(values.iter().all(|value| value == b"token 0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_callers_of_a_cold_key_cost_one_fetch() {
    let mut server = Server::start(&[]);
    let herd = Herd::of(&server.listening_on()).await;
    let calls = herd.call(|client| async move {
        // The fetch takes until all other callers wait for it.
        let others = CALLERS as u64 - 1;
        while client.stats(None).await.unwrap().leases.waiting < others {}
    });
    assert_all_have_the_only_value(calls).await;
    assert_eq!(herd.fetches.load(Ordering::SeqCst), 1);
    let stats = herd.stats().await;
    assert_eq!((stats.leases.granted, stats.leases.filled), (1, 1));
    assert_eq!((stats.leases.waiting, stats.puts), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holder_that_is_killed_costs_one_more_fetch_and_no_waiter() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("credcache.toml");
    std::fs::write(&file, "[leases]\nttl = '1s'\n").unwrap();
    let mut server = Server::start(&["--config", file.to_str().unwrap()]);
    let address = server.listening_on();
    let herd = Herd::of(&address).await;

    let line = [
        "fetch", "oauth", "billing", "--ttl", "15m", "--server", &address,
    ];
    let script = ["--", "sh", "-c", "echo begun >&2; exec sleep 1000"];
    let mut holder = Command::from(credcache(&[&line[..], &script].concat()))
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut announced = String::new();
    let mut stderr = BufReader::new(holder.stderr.take().unwrap());
    within(stderr.read_line(&mut announced)).await.unwrap();

    let calls = herd.call(|_| async {});
    within(async { while herd.stats().await.leases.waiting == 0 {} }).await;
    let group = Pid::from_raw(holder.id().unwrap().try_into().unwrap()).unwrap();
    kill_process_group(group, Signal::KILL).unwrap();
    within(holder.wait()).await.unwrap();
    assert_all_have_the_only_value(calls).await;
    assert_eq!(herd.fetches.load(Ordering::SeqCst), 1);
    let leases = herd.stats().await.leases;
    assert_eq!((leases.granted, leases.expired, leases.filled), (2, 1, 1));
    assert_eq!((leases.waiting, leases.abandoned), (0, 0));
}
