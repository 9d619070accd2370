//! What a Get waits while 100,000 credentials are invalidated by one tag,
//! beside what it waits when nothing else happens: in turn, in one run, against
//! a server of its own. Prints both latencies and their ratio.

#![expect(clippy::print_stdout, reason = "the report is the output")]

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use clap::Parser;
use credcache_bench::proto::{
    BatchPutRequest, GetRequest, InvalidateRequest, PutRequest,
    credential_cache_service_client::CredentialCacheServiceClient, get_response::Outcome,
    invalidate_request::Target, put_request::Lifetime,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::transport::{Channel, Endpoint};

type Stub = CredentialCacheServiceClient<Channel>;
type Outcomes<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Measure Gets beside an invalidation by tag.
#[derive(Parser)]
struct Arguments {
    /// Counted rounds
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// How many credentials are invalidated at once
    #[arg(long, default_value_t = 100_000)]
    entries: u32,
    /// Gets a second, over all connections
    #[arg(long, default_value_t = 4_000)]
    rate: u32,
    /// The cores of the server, as taskset takes them
    #[arg(long)]
    server_cores: Option<String>,
}

const CONNECTIONS: u32 = 4;
const BATCH: u32 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcomes<()> {
    let arguments = Arguments::parse();
    let (_server, address) = start(arguments.server_cores.as_deref())?;
    let endpoint = Endpoint::try_from(format!("http://{address}"))?;
    let mut stub = Stub::new(endpoint.connect().await?);
    put(&mut stub, 0..1, "kept").await?;

    let (tell, phase) = watch::channel(Phase::Warming);
    let mut gets = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let stub = Stub::new(endpoint.connect().await?);
        let every = Duration::from_secs(1) * CONNECTIONS / arguments.rate;
        gets.spawn(load(stub, every, phase.clone()));
    }
    drop(phase);

    let mut removal = Vec::new();
    for _ in 0..arguments.rounds {
        put(&mut stub, 1..arguments.entries + 1, "revoked").await?;
        tell.send(Phase::Idle)?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        tell.send(Phase::Removing)?;
        let begun = Instant::now();
        let request = InvalidateRequest {
            namespace: "bench".into(),
            target: Some(Target::Tag("revoked".into())),
            ..Default::default()
        };
        let removed = stub.invalidate(request).await?.into_inner().removed;
        tell.send(Phase::Warming)?;
        removal.push(begun.elapsed());
        if removed != u64::from(arguments.entries) {
            return Err(format!("{removed} were removed").into());
        }
    }
    drop(tell);
    let mut idle = Vec::new();
    let mut removing = Vec::new();
    while let Some(latencies) = gets.join_next().await {
        let (one, other) = latencies??;
        idle.extend(one);
        removing.extend(other);
    }
    removal.sort_unstable();
    println!(
        "{} entries invalidated in {:?} (median)",
        arguments.entries,
        removal[removal.len() / 2]
    );
    println!("| | Gets | p50 | p99 | p99.9 |\n|---|---|---|---|---|");
    let idle = row("idle", &mut idle);
    let removing = row("during the invalidation", &mut removing);
    println!("p99 during / idle: {:.2}", removing / idle);
    Ok(())
}

#[derive(Clone, Copy)]
enum Phase {
    Warming,
    Idle,
    Removing,
}

/// Gets at a steady rate, until the sender is gone; what each waited, by phase.
async fn load(
    mut stub: Stub,
    every: Duration,
    phase: watch::Receiver<Phase>,
) -> Outcomes<(Vec<Duration>, Vec<Duration>)> {
    let (mut idle, mut removing) = (Vec::new(), Vec::new());
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while phase.has_changed().is_ok() {
        ticks.tick().await;
        let now = *phase.borrow();
        let request = GetRequest {
            namespace: "bench".into(),
            key: "key/0".into(),
            ..Default::default()
        };
        // Not from when it was due: the timer is coarser than an answer takes.
        let sent = Instant::now();
        let answer = stub.get(request).await?.into_inner();
        let took = sent.elapsed();
        if !matches!(answer.outcome, Some(Outcome::Credential(_))) {
            return Err("a miss".into());
        }
        match now {
            Phase::Warming => {}
            Phase::Idle => idle.push(took),
            Phase::Removing => removing.push(took),
        }
    }
    Ok((idle, removing))
}

async fn put(stub: &mut Stub, numbers: std::ops::Range<u32>, tag: &str) -> Outcomes<()> {
    // One message at a time: the Gets share this thread.
    for first in numbers.clone().step_by(BATCH as usize) {
        let requests = (first..numbers.end.min(first + BATCH)).map(|number| PutRequest {
            namespace: "bench".into(),
            key: format!("key/{number}"),
            value: vec![7; 256].into(),
            lifetime: Some(Lifetime::Ttl(prost_types::Duration {
                seconds: 3600,
                nanos: 0,
            })),
            tags: vec![tag.into()],
            ..Default::default()
        });
        let requests = requests.collect();
        stub.batch_put(BatchPutRequest { requests }).await?;
    }
    Ok(())
}

fn row(name: &str, latencies: &mut [Duration]) -> f64 {
    latencies.sort_unstable();
    let at = |per_mille: usize| latencies[(latencies.len() - 1) * per_mille / 1000];
    let [p50, p99, p999] = [at(500), at(990), at(999)];
    println!(
        "| {name} | {} | {p50:?} | {p99:?} | {p999:?} |",
        latencies.len()
    );
    p99.as_secs_f64()
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // An error here means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// With room for all in the tier of an hour.
fn start(cores: Option<&str>) -> Outcomes<(Server, String)> {
    let config = tempfile::NamedTempFile::new()?;
    std::fs::write(
        config.path(),
        "[[tier]]\nname = '1-hour'\nmax_ttl = '1h'\ncapacity = '1GiB'\n",
    )?;
    let program = env::current_exe()?.with_file_name("credcache");
    let mut command = match cores {
        Some(cores) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cores]).arg(program);
            command
        }
        None => Command::new(program),
    };
    let mut server = command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(config.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = server.stdout.take().ok_or("no output")?;
    let server = Server(server);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.trim_end().strip_prefix("listening on ");
    Ok((server, address.ok_or("not listening")?.to_owned()))
}
