//! `credcache fetch`: which caller runs the command, and what the command leaves behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use credcache_client::LeaseStats;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

use super::{BINARY, assert_ended, run, serve};
use crate::fixture::{Running, credcache, within};

/// `credcache fetch aws reader` with a shell script as the command.
pub(super) fn command(address: &str, options: &str, script: &str) -> Command {
    let mut args = vec!["fetch", "aws", "reader", "--server", address];
    args.extend(options.split_whitespace());
    if !options.contains("--ttl") && !options.contains("--expires-at") && !options.contains("-from")
    {
        args.extend(["--ttl", "40s"]);
    }
    args.extend(["--", "sh", "-c", script]);
    let mut command = Command::from(credcache(&args));
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(super) async fn fetch(address: &str, options: &str, script: &str) -> Output {
    within(command(address, options, script).output())
        .await
        .unwrap()
}

/// A file to which each run of a script adds a line.
pub(super) struct Runs {
    _directory: TempDir,
    file: PathBuf,
}

impl Runs {
    pub(super) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("runs");
        fs::write(&file, "").unwrap();
        Self {
            _directory: directory,
            file,
        }
    }

    pub(super) fn counting(&self, script: &str) -> String {
        format!("echo >> '{}'; {script}", self.file.display())
    }

    pub(super) fn count(&self) -> usize {
        fs::read_to_string(&self.file).unwrap().lines().count()
    }

    /// Waits until there were this many runs.
    pub(super) async fn counted(&self, runs: usize) {
        while self.count() < runs {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(super) async fn leases(server: &Running) -> LeaseStats {
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
    for (round, (script, message)) in [
        ("echo no >&2; exit 3", "exit status: 3"),
        ("true", "nothing"),
    ]
    .into_iter()
    .enumerate()
    {
        let script = runs.counting(script);
        let failed = fetch(&address, "--retry-after 20s", &script).await;
        assert_ended(&failed, 70, message);
        assert!(failed.stdout.is_empty());
        let closed = fetch(&address, "", &script).await;
        assert_ended(&closed, 75, "failed a moment ago; try again in");
        assert_eq!(runs.count(), round + 1);
        server.time.pass(Duration::from_secs(40));
    }
    // A command that can't be run says nothing about the issuer.
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
async fn value_is_what_was_printed_by_a_command_that_ended_well() {
    let (server, address) = serve().await;
    for (options, script, message) in [
        ("", "echo token; exit 3", "exit status: 3"),
        ("", "echo token; kill -9 $$", "signal: 9"),
        ("", "echo", "printed nothing"),
        ("", "cat", "printed nothing"),
        ("", "exec cat /dev/zero", "more than 4 MiB"),
        (
            "--fetch-timeout 100ms",
            "echo token; sleep 1000",
            "--fetch-timeout",
        ),
    ] {
        let options = format!("--retry-after 0s --trim-newline {options}");
        let failed = fetch(&address, &options, script).await;
        assert_ended(&failed, 70, message);
        assert!(failed.stdout.is_empty(), "{script}");
        assert!(!String::from_utf8(failed.stderr).unwrap().contains("token"));
    }
    assert_eq!(leases(&server).await.abandoned, 6);
}

#[tokio::test]
async fn value_that_the_server_does_not_store_is_printed_with_a_warning() {
    let (server, address) = serve().await;
    let large = fetch(&address, "", "head -c 100000 /dev/zero").await;
    assert_ended(&large, 0, "the server doesn't");
    assert_eq!(large.stdout.len(), 100_000);
    assert_eq!(leases(&server).await.abandoned, 1);

    let (_server, address) = serve().await;
    let elsewhere = fetch(&address, "--tier nowhere", "echo token").await;
    assert_ended(&elsewhere, 0, "short, long");
    assert_eq!(elsewhere.stdout, b"token\n");

    // Each fetch is revoked while it runs.
    let (_server, address) = serve().await;
    let revoke = "invalidate aws --all --output json --server";
    let script = format!(
        "'{}' {revoke} {address} >/dev/null; echo token",
        env!("CARGO_BIN_EXE_credcache")
    );
    let revoked = fetch(&address, "", &script).await;
    assert_ended(&revoked, 0, "revoked while it was being fetched");
    assert_eq!(revoked.stdout, b"token\n");
    assert_ended(&run(&address, "get aws reader", b"").await, 1, "miss");
}

#[tokio::test]
async fn what_ended_by_the_servers_clock_is_not_printed() {
    let (server, address) = serve().await;
    // The server's clock is in 2033, while this end is still ahead of this machine's clock.
    let options = "--expires-at 2033-05-18T03:33:20Z";
    let ended = fetch(&address, options, "echo token").await;
    assert_ended(&ended, 64, "expires_at");
    assert!(ended.stdout.is_empty());
    server.assert_nothing_was_stored().await;
}

/// A process that a script left behind. It is ended with the test.
struct Left(PathBuf);

impl Drop for Left {
    fn drop(&mut self) {
        let id = fs::read_to_string(&self.0).unwrap_or_default();
        if let Some(pid) = id.trim().parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[tokio::test]
async fn what_the_command_leaves_in_the_background_is_not_waited_for() {
    let (_server, address) = serve().await;
    let directory = TempDir::new().unwrap();
    let left = Left(directory.path().join("pid"));
    let script = format!(
        "sleep 1000 2>/dev/null & echo $! > '{}'; echo token",
        left.0.display()
    );
    let fetched = fetch(&address, "", &script).await;
    assert_ended(&fetched, 0, "");
    assert_eq!(fetched.stdout, b"token\n");
    assert_eq!(
        run(&address, "get aws reader", b"").await.stdout,
        b"token\n"
    );
    // The script left the process on purpose, and it goes on.
    let id = fs::read_to_string(&left.0).unwrap();
    let id = Pid::from_raw(id.trim().parse().unwrap()).unwrap();
    assert!(rustix::process::test_kill_process(id).is_ok());
}

#[tokio::test]
async fn without_the_server_the_command_is_run_all_the_same() {
    // The port is bound without listening, so that no other process gets it meanwhile.
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
    // The cool-down of the failed refresh doesn't delay the end.
    let failed = fetch(&address, "--retry-after 5m", "exit 3").await;
    assert_ended(
        &failed,
        0,
        "the refresh failed: the command failed: exit status: 3",
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

/// A `fetch` whose script has reported on stderr that it has begun.
struct Begun {
    child: tokio::process::Child,
    stderr: BufReader<tokio::process::ChildStderr>,
}

impl Begun {
    async fn of(address: &str, script: &str) -> Self {
        let mut child = command(address, "", script).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut begun = Self { child, stderr };
        assert_eq!(begun.line().await, "begun\n");
        begun
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        within(self.stderr.read_line(&mut line)).await.unwrap();
        line
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// The rest of stderr, until the last process that could write to it has ended.
    async fn rest(&mut self) -> String {
        let mut message = String::new();
        within(self.stderr.read_to_string(&mut message))
            .await
            .unwrap();
        message
    }

    async fn code(&mut self) -> Option<i32> {
        within(self.child.wait()).await.unwrap().code()
    }
}

#[tokio::test]
async fn signal_ends_the_command_and_gives_the_lease_back() {
    for (signal, code) in [
        (Signal::TERM, 143),
        (Signal::INT, 130),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
    ] {
        let (server, address) = serve().await;
        // Two processes: the shell and its child.
        let script = "echo begun >&2; sleep 1000; true";
        let mut begun = Begun::of(&address, script).await;
        begun.signal(signal);
        assert_eq!(begun.code().await, Some(code));
        begun.rest().await;
        assert_eq!(leases(&server).await.abandoned, 1);
        let fetched = fetch(&address, "", "echo token").await;
        assert_eq!(fetched.stdout, b"token\n");
    }
}

#[tokio::test]
async fn signal_that_comes_twice_at_once_leaves_the_command_time_to_end() {
    let (server, address) = serve().await;
    let script = "trap 'echo ending >&2; sleep 0.2; echo cleaned up >&2; exit 1' TERM; \
                  echo begun >&2; while :; do sleep 0.01; done";
    let mut begun = Begun::of(&address, script).await;
    begun.signal(Signal::TERM);
    // The first signal has been received, so the next one isn't merged with it. (A shell may print
    // something, too.)
    loop {
        let line = begun.line().await;
        assert_ne!(line, "", "it ended without a notification");
        if line == "ending\n" {
            break;
        }
    }
    begun.signal(Signal::TERM);
    assert_eq!(begun.code().await, Some(143));
    assert!(begun.rest().await.contains("cleaned up"));
    assert_eq!(leases(&server).await.abandoned, 1);
}

#[tokio::test]
async fn kill_that_leaves_no_time_ends_the_command_with_all_it_started() {
    let (_server, address) = serve().await;
    // A script that ignores every other signal, and its child.
    let script = "trap '' TERM INT HUP QUIT; sleep 1000 & echo begun >&2; sleep 1000; true";
    let mut begun = Begun::of(&address, script).await;
    begun.signal(Signal::KILL);
    assert_eq!(begun.code().await, None);
    // All of these processes hold stderr, which ends when they have ended.
    begun.rest().await;
}

#[tokio::test]
async fn command_that_lost_its_supervisor_is_ended() {
    let (_server, address) = serve().await;
    let script = "trap '' TERM; echo begun >&2; kill -9 $PPID; sleep 1000; true";
    let mut begun = Begun::of(&address, script).await;
    assert_eq!(begun.code().await, Some(70));
    assert!(begun.rest().await.contains("signal: 9"));
}

#[tokio::test]
async fn supervisor_is_for_fetch_alone() {
    let mut alone = Command::from(credcache(&["supervise-for-fetch", "--", "echo", "run"]));
    let ended = within(alone.output()).await.unwrap();
    assert_ended(&ended, 64, "only `credcache fetch`");
    assert!(ended.stdout.is_empty());
}
