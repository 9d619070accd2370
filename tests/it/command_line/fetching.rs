//! `credcache fetch`: who runs the command, and what is left of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use credcache_client::Leases;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

use super::{BINARY, assert_ended, run, serve};
use crate::fixture::{Running, credcache, within};

/// `credcache fetch aws reader` of what a shell script prints.
fn command(address: &str, options: &str, script: &str) -> Command {
    let mut args = vec![
        "fetch", "aws", "reader", "--ttl", "40s", "--server", address,
    ];
    args.extend(options.split_whitespace());
    args.extend(["--", "sh", "-c", script]);
    let mut command = Command::from(credcache(&args));
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn fetch(address: &str, options: &str, script: &str) -> Output {
    within(command(address, options, script).output())
        .await
        .unwrap()
}

/// A file into which each run of a script writes a line.
struct Runs {
    _directory: TempDir,
    file: PathBuf,
}

impl Runs {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("runs");
        fs::write(&file, "").unwrap();
        Self {
            _directory: directory,
            file,
        }
    }

    fn counting(&self, script: &str) -> String {
        format!("echo >> '{}'; {script}", self.file.display())
    }

    fn count(&self) -> usize {
        fs::read_to_string(&self.file).unwrap().lines().count()
    }
}

async fn leases(server: &Running) -> Leases {
    within(server.client().await.stats(None))
        .await
        .unwrap()
        .leases
}

#[tokio::test]
async fn command_is_run_for_a_cold_key_alone_and_its_output_kept_byte_for_byte() {
    let (_server, address) = serve().await;
    let runs = Runs::new();
    let script = runs.counting("printf 'qz\\0\\377\\376\\r\\n'");
    for _ in 0..2 {
        let fetched = fetch(&address, "--tag prod --tier long", &script).await;
        assert_ended(&fetched, 0, "");
        assert_eq!(fetched.stdout, BINARY);
        assert_eq!(runs.count(), 1);
    }
    assert_eq!(run(&address, "get aws reader", b"").await.stdout, BINARY);
    let short = fetch(&address, "--min-ttl 41s --trim-newline", &script).await;
    assert_eq!(
        (&short.stdout[..], runs.count()),
        (&BINARY[..BINARY.len() - 2], 2)
    );
    run(&address, "invalidate aws --tag prod", b"").await;
    fetch(&address, "", &script).await;
    assert_eq!(
        runs.count(),
        2,
        "what was fetched the second time has no tag"
    );
}

#[tokio::test]
async fn of_twenty_shells_one_runs_the_command_and_all_print_the_value() {
    const SHELLS: u64 = 20;
    let (server, address) = serve().await;
    let runs = Runs::new();
    let gate = runs.file.with_file_name("gate");
    mkfifo(&gate);
    let script = runs.counting(&format!("cat '{}'", gate.display()));
    let shells: Vec<_> = (0..SHELLS)
        .map(|_| command(&address, "", &script).spawn().unwrap())
        .collect();
    let client = server.client().await;
    within(async { while client.stats(None).await.unwrap().leases.waiting < SHELLS - 1 {} }).await;
    within(tokio::fs::write(&gate, "token")).await.unwrap();
    for shell in shells {
        let ended = within(shell.wait_with_output()).await.unwrap();
        assert_ended(&ended, 0, "");
        assert_eq!(ended.stdout, b"token");
    }
    assert_eq!(runs.count(), 1);
    assert_eq!(leases(&server).await.granted, 1);
}

fn mkfifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[tokio::test]
async fn failure_is_not_repeated_by_others_for_a_while() {
    let (server, address) = serve().await;
    let runs = Runs::new();
    for (round, (script, told)) in [
        ("echo no >&2; exit 3", "exit status: 3"),
        ("true", "nothing"),
    ]
    .into_iter()
    .enumerate()
    {
        let script = runs.counting(script);
        let failed = fetch(&address, "--retry-after 20s", &script).await;
        assert_ended(&failed, 70, told);
        assert!(failed.stdout.is_empty());
        let closed = fetch(&address, "", &script).await;
        assert_ended(&closed, 75, "failed a moment ago; try again in");
        assert_eq!(runs.count(), round + 1);
        server.time.pass(Duration::from_secs(40));
    }
    // One that can't be run says nothing of the issuer.
    let missing = [
        "fetch",
        "aws",
        "reader",
        "--ttl",
        "40s",
        "--server",
        &address[..],
    ];
    let mut missing = Command::from(credcache(&[&missing[..], &["--", "/no/such"]].concat()));
    assert_ended(&within(missing.output()).await.unwrap(), 64, "can't be run");
    let fetched = fetch(&address, "", "echo token").await;
    assert_ended(&fetched, 0, "");
    assert_eq!(fetched.stdout, b"token\n");
}

#[tokio::test]
async fn value_that_the_server_does_not_take_is_printed_all_the_same() {
    let (server, address) = serve().await;
    let fetched = fetch(&address, "", "head -c 100000 /dev/zero").await;
    assert_ended(&fetched, 0, "the server doesn't hold what was fetched");
    assert_eq!(fetched.stdout.len(), 100_000);
    assert_eq!(leases(&server).await.abandoned, 1);
}

#[tokio::test]
async fn without_the_server_the_command_is_run_all_the_same() {
    // Bound and never listening: nobody else gets the port meanwhile.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nowhere = silent.local_addr().unwrap().to_string();
    let runs = Runs::new();
    let script = runs.counting("echo token");
    let fetched = fetch(&nowhere, "", &script).await;
    assert_ended(&fetched, 0, "the server doesn't hold");
    assert_eq!(fetched.stdout, b"token\n");
    let failed = fetch(&nowhere, "--on-outage fail", &script).await;
    assert_ended(&failed, 69, "can't be reached");
    assert!(failed.stdout.is_empty());
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn due_credential_is_printed_and_the_next_one_fetched_before_it_ends() {
    let (server, address) = serve().await;
    fetch(&address, "", "echo old").await;
    server.time.pass(Duration::from_secs(25));
    // Its pause is no reason to stay.
    let failed = fetch(&address, "--retry-after 5m", "exit 3").await;
    assert_ended(
        &failed,
        0,
        "wasn't fetched anew: the command failed: exit status: 3",
    );
    assert_eq!(failed.stdout, b"old\n");
    assert_eq!(leases(&server).await.abandoned, 1);

    let (server, address) = serve().await;
    fetch(&address, "", "echo old").await;
    server.time.pass(Duration::from_secs(25));
    let refreshed = fetch(&address, "", "echo new").await;
    assert_ended(&refreshed, 0, "");
    assert_eq!(refreshed.stdout, b"old\n");
    assert_eq!(run(&address, "get aws reader", b"").await.stdout, b"new\n");
    assert_eq!(leases(&server).await.filled, 2);
}

#[tokio::test]
async fn signal_ends_the_command_and_gives_the_lease_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let (server, address) = serve().await;
        // Two processes, of which the shell is one.
        let script = "echo begun >&2; sleep 1000; true";
        let mut child = command(&address, "", script).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        within(stderr.read_line(&mut told)).await.unwrap();
        assert_eq!(told, "begun\n");
        let id = i32::try_from(child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        assert_eq!(within(child.wait()).await.unwrap().code(), Some(code));
        // Both have stderr too: it ends when they have.
        within(stderr.read_to_string(&mut told)).await.unwrap();
        assert_eq!(leases(&server).await.abandoned, 1);
        let fetched = fetch(&address, "", "echo token").await;
        assert_eq!(fetched.stdout, b"token\n");
    }
}
