//! What thousands of watchers that never read cost a server: a bounded amount of memory, by the
//! operating system's figure, and no other caller's time. The server is a process of its own.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows #[test] functions, but not what they share"
)]

#[allow(dead_code, reason = "what only the other tests of the binary need")]
#[path = "it/fixture/binary.rs"]
mod binary;
#[path = "watchers/deaf.rs"]
mod deaf;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use credcache_client::proto::{
    BatchPutRequest, GetRequest, InvalidateRequest, PutRequest, StatsRequest,
    credential_cache_service_client::CredentialCacheServiceClient, invalidate_request::Target,
    put_request::Lifetime,
};
use rustix::process::Pid;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic::transport::{Channel, Endpoint};

use self::{
    binary::Server,
    deaf::{Connection, Windows},
};

type Stub = CredentialCacheServiceClient<Channel>;

/// Far longer than the tests take, so that a hang becomes a failure.
const NEVER: Duration = Duration::from_secs(120);

const CONNECTIONS: usize = 50;
const STREAMS: usize = 100;
const WATCHERS: u64 = (CONNECTIONS * STREAMS) as u64;
/// The bound for each watcher, in bytes.
const BOUND: u64 = 64 * 1024;

const NAMESPACES: usize = 10;
const WRITERS: usize = 2;
/// The batches of one writer. Each batch puts a thousand credentials.
const BATCHES: usize = 100;
/// The invalidations after each batch.
const INVALIDATIONS: usize = 20;
/// Nearly the longest key, so that events are as large as possible.
const KEY: usize = 1000;

/// Tiers that fill up at once and a short journal, so that only the memory of the watchers grows.
const CONFIG: &str = "limits.max_journal = '8MiB'\n\
    [[tier]]\nname = 'one'\nmax_ttl = '1h'\ncapacity = '8MiB'\n";

/// The tests measure time, so one runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_take_little_and_never_read_cost_little() {
    neglect(Windows::Small).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_never_read_cost_little() {
    neglect(Windows::Default).await;
}

async fn neglect(windows: Windows) {
    let _alone = ALONE.lock().await;
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, CONFIG).unwrap();
    let mut server = Server::start(&["--config", file.to_str().unwrap()]);
    let address = server.listening_on();

    let quiet = change_everything(&address).await;
    let before = resident(server.pid());
    let mut connections = JoinSet::new();
    for nth in 0..CONNECTIONS {
        let (address, namespace) = (address.clone(), namespace(nth));
        connections
            .spawn(async move { Connection::watch(&address, windows, &namespace, STREAMS).await });
    }
    let mut connections = within(connections.join_all()).await;
    let watched = change_everything(&address).await;
    let grown = resident(server.pid()).saturating_sub(before);
    println!(
        "{windows:?}: {} KiB a watcher; median {:?} without them, {:?} with",
        grown / WATCHERS / 1024,
        quiet.median,
        watched.median
    );
    assert!(grown <= WATCHERS * BOUND, "{grown} bytes");
    let slow = quiet.median * 5 + Duration::from_millis(2);
    assert!(watched.median <= slow, "{:?}", watched.median);

    // All streams of one connection, because they share a window.
    let told = connections.pop().unwrap().read_until_reset();
    for reset in within(told).await {
        assert!(reset > quiet.revision && reset <= watched.revision);
    }
}

/// The result of changing all namespaces repeatedly.
struct Changed {
    /// The median time of another caller's Gets and Puts meanwhile.
    median: Duration,
    /// The latest revision.
    revision: u64,
}

async fn change_everything(address: &str) -> Changed {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(stub(address).await, writer));
    }
    let other = tokio::spawn(call_others(stub(address).await, is_over.clone()));
    while let Some(written) = within(writers.join_next()).await {
        written.unwrap();
    }
    is_over.store(true, SeqCst);
    let median = within(other).await.unwrap();
    let stats = StatsRequest::default();
    let stats = stub(address).await.stats(stats).await.unwrap();
    Changed {
        median,
        revision: stats.into_inner().revision,
    }
}

async fn write(mut stub: Stub, writer: usize) {
    for batch in 0..BATCHES {
        let namespace = namespace(batch);
        let requests = (0..1000).map(|nth| PutRequest {
            namespace: namespace.clone(),
            key: format!("{writer}/{nth:0KEY$}"),
            value: "token".into(),
            lifetime: Some(minute()),
            ..Default::default()
        });
        let requests = requests.collect();
        let request = BatchPutRequest { requests };
        stub.batch_put(request).await.unwrap();
        for nth in 0..INVALIDATIONS {
            let request = InvalidateRequest {
                namespace: namespace.clone(),
                target: Some(Target::Key(format!("{writer}/{nth:0KEY$}"))),
                ..Default::default()
            };
            stub.invalidate(request).await.unwrap();
        }
    }
}

/// Puts and gets until `is_over`, and returns the median time of a call.
async fn call_others(mut stub: Stub, is_over: Arc<AtomicBool>) -> Duration {
    let mut times = Vec::new();
    while !is_over.load(SeqCst) {
        let begun = Instant::now();
        let put = PutRequest {
            namespace: "other".into(),
            key: "reader".into(),
            value: "token".into(),
            lifetime: Some(minute()),
            ..Default::default()
        };
        stub.put(put).await.unwrap();
        times.push(begun.elapsed());
        let begun = Instant::now();
        let get = GetRequest {
            namespace: "other".into(),
            key: "reader".into(),
            ..Default::default()
        };
        stub.get(get).await.unwrap();
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

fn namespace(nth: usize) -> String {
    format!("team{}", nth % NAMESPACES)
}

fn minute() -> Lifetime {
    Lifetime::Ttl(Duration::from_secs(60).try_into().unwrap())
}

async fn stub(address: &str) -> Stub {
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    CredentialCacheServiceClient::new(within(endpoint.connect()).await.unwrap())
}

async fn within<T>(happening: impl Future<Output = T>) -> T {
    timeout(NEVER, happening)
        .await
        .expect("what was awaited never came")
}

/// The resident bytes of the process.
fn resident(process: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero()))
        .expect("a Linux /proc");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("VmRSS");
    let kib = line.split_whitespace().nth(1).expect("a figure");
    kib.parse::<u64>().expect("a number") * 1024
}
