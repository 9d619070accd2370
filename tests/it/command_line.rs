//! The commands for people as scripts use them: bytes in, bytes out, exit codes.

mod fetching;
mod leases;
mod lifetimes;
mod slow_issuers;
mod terminal;
mod watching;

use std::{
    fs,
    io::Write,
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::fixture::{Running, TWO_TIERS, config, credcache, within};

/// A value that isn't text.
const BINARY: &[u8] = b"qz\0\xff\xfe\r\n";

/// A server, and its address in the form that the commands accept.
async fn serve() -> (Running, String) {
    let server = Running::start(&config(TWO_TIERS)).await;
    let address = server.address.to_string();
    (server, address)
}

/// Runs a command line to its end, with these bytes on stdin.
async fn run(server: &str, line: &str, stdin: &[u8]) -> Output {
    let mut command = credcache(&line.split_whitespace().collect::<Vec<_>>());
    command
        .args(["--server", server])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let stdin = stdin.to_vec();
    let run = spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // A command that is refused doesn't read stdin.
        let _ = child.stdin.take().unwrap().write_all(&stdin);
        child.wait_with_output().unwrap()
    });
    within(run).await.unwrap()
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_ended(output: &Output, code: i32, stderr: &str) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(message.contains(stderr), "{message}");
    assert_eq!(stderr.is_empty(), message.is_empty(), "{message}");
}

#[tokio::test]
async fn value_comes_back_byte_for_byte_from_stdin_and_from_a_file() {
    let (_server, address) = serve().await;
    let put = run(&address, "put aws piped --ttl 30s", BINARY).await;
    assert_ended(&put, 0, "");
    let get = run(&address, "get aws piped", b"").await;
    assert_ended(&get, 0, "");
    assert_eq!(get.stdout, BINARY);

    let directory = TempDir::new().unwrap();
    let file = directory.path().join("value");
    fs::write(&file, BINARY).unwrap();
    let line = format!("put aws filed --ttl 30s --value-file {}", file.display());
    assert_ended(&run(&address, &line, b"not this").await, 0, "");
    assert_eq!(run(&address, "get aws filed", b"").await.stdout, BINARY);
}

#[tokio::test]
async fn all_that_was_put_is_printed_as_json() {
    let (_server, address) = serve().await;
    let line = "put aws reader --expires-at 2033-05-18T03:33:50Z --attribute region=eu \
                --tag prod --tag ci --tier long --refresh-before 10s --output json";
    let stored = json(&run(&address, line, b"token").await);
    assert_eq!(stored["tier"], "long");
    assert_eq!(stored["expires_at"], "2033-05-18T03:33:50.000Z");
    let got = json(&run(&address, "get aws reader --output json", b"").await);
    assert_eq!(got["value"], "token");
    assert_eq!(got["version"], stored["version"]);
    assert_eq!(got["tier"], "long");
    assert_eq!(got["expires_at"], stored["expires_at"]);
    assert_eq!(got["refresh_at"], "2033-05-18T03:33:40.000Z");
    assert_eq!(got["attributes"]["region"], "eu");
    assert_eq!(got["tags"], serde_json::json!(["ci", "prod"]));
    let ttl = got["ttl_seconds"].as_f64().unwrap();
    assert!(ttl > 0.0 && ttl <= 30.0, "{ttl}");

    run(&address, "put aws binary --ttl 30s", BINARY).await;
    let got = json(&run(&address, "get aws binary --output json", b"").await);
    assert_eq!(got["value_base64"], "cXoA//4NCg==");
    assert!(got.get("value").is_none());
}

#[tokio::test]
async fn miss_ends_with_1_and_prints_no_value() {
    let (_server, address) = serve().await;
    let miss = run(&address, "get aws nobody", b"").await;
    assert_ended(&miss, 1, "nothing is stored");
    assert!(miss.stdout.is_empty());
    run(&address, "put aws reader --ttl 30s", b"token").await;
    let short = run(&address, "get aws reader --min-ttl 31s --output json", b"").await;
    assert_ended(&short, 1, "--min-ttl");
    assert!(short.stdout.is_empty());
}

#[tokio::test]
async fn what_was_invalidated_is_counted_and_gone() {
    let (_server, address) = serve().await;
    for (target, removed) in [
        ("--key role/a", 1),
        ("--key role/a --if-version 1", 0),
        ("--prefix role/", 2),
        ("--tag prod", 2),
        ("--all", 3),
    ] {
        for put in ["role/a --tag prod", "role/b --tag prod", "other"] {
            run(&address, &format!("put aws {put} --ttl 30s"), b"token").await;
        }
        let line = format!("invalidate aws {target} --output json");
        let answer = json(&run(&address, &line, b"").await);
        assert_eq!(answer["removed"], removed, "{target}");
        assert!(answer["revision"].as_u64() > Some(0));
        let gets = ["role/a", "role/b", "other"].map(|key| format!("get aws {key}"));
        let mut misses = 0;
        for get in gets {
            misses += run(&address, &get, b"").await.status.code().unwrap();
        }
        assert_eq!(misses, removed, "{target}");
    }
    let text = run(&address, "invalidate aws --all", b"").await;
    assert_ended(&text, 0, "");
    assert!(text.stdout.starts_with(b"removed 0 at revision "));
}

#[tokio::test]
async fn stats_are_printed_for_people_and_for_scripts() {
    let (_server, address) = serve().await;
    run(&address, "put aws reader --ttl 30s", b"token").await;
    run(&address, "get aws reader", b"").await;
    let stats = json(&run(&address, "stats --output json", b"").await);
    assert_eq!((&stats["puts"], &stats["hits"]), (&1.into(), &1.into()));
    assert_eq!(stats["tiers"][0]["name"], "short");
    assert_eq!(stats["tiers"][0]["entries"], 1);
    let other = json(&run(&address, "stats --namespace oauth --output json", b"").await);
    assert_eq!(other["puts"], 0);
    let table = run(&address, "stats", b"").await;
    assert_ended(&table, 0, "");
    assert!(String::from_utf8(table.stdout).unwrap().contains("short"));
}

#[tokio::test]
async fn watched_stats_end_with_0_on_a_signal_and_when_nobody_reads_any_more() {
    let (_server, address) = serve().await;
    for signal in [
        Some(Signal::INT),
        Some(Signal::TERM),
        Some(Signal::HUP),
        Some(Signal::QUIT),
        None,
    ] {
        // The command notices that its reader has left even if it has nothing to write.
        let interval = if signal.is_some() { "1ms" } else { "1h" };
        let mut command = credcache(&["stats", "--watch", "--interval", interval]);
        command
            .args(["--output", "json", "--server", &address])
            .stdout(Stdio::piped());
        let watched = spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let mut lines =
                std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
            // Two lines show that the command refreshes, and that the signal comes while it
            // watches.
            for _ in 0..if signal.is_some() { 2 } else { 1 } {
                let line = lines.next().unwrap().unwrap();
                serde_json::from_str::<Value>(&line).unwrap();
            }
            match signal {
                Some(signal) => {
                    kill_process(Pid::from_child(&child), signal).unwrap();
                    lines.for_each(drop);
                }
                None => drop(lines),
            }
            child.wait().unwrap().code()
        });
        assert_eq!(within(watched).await.unwrap(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn serving_server_is_healthy() {
    let (_server, address) = serve().await;
    let health = run(&address, "health", b"").await;
    assert_ended(&health, 0, "");
    assert_eq!(health.stdout, b"SERVING\n");
}

#[tokio::test]
async fn exit_codes_tell_usage_from_absence_from_refusal() {
    let (_server, address) = serve().await;
    for (line, stdin, code, stderr) in [
        ("put aws reader", "token", 64, "--ttl"),
        ("put aws reader --ttl 30s --value qz", "", 64, "--value"),
        ("put aws reader --ttl 30s", "", 64, "empty"),
        ("put AWS reader --ttl 30s", "token", 64, "NAMESPACE"),
        (
            "put aws reader --ttl 30s --tier none",
            "token",
            64,
            "short, long",
        ),
        ("get aws", "", 64, "KEY"),
        ("invalidate aws", "", 64, "--all"),
        (
            "put aws reader --ttl 30s --if-version 7",
            "token",
            70,
            "VERSION_DIFFERS",
        ),
    ] {
        let ended = run(&address, line, stdin.as_bytes()).await;
        assert_ended(&ended, code, stderr);
        assert!(ended.stdout.is_empty(), "{line}");
    }
    run(&address, "put aws reader --ttl 30s", b"token").await;
    let again = run(&address, "put aws reader --ttl 30s --if-absent", b"token").await;
    assert_ended(&again, 70, "--if-absent");

    // The port is bound without listening, so that no other process gets it meanwhile.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nowhere = silent.local_addr().unwrap().to_string();
    for line in [
        "put aws reader --ttl 30s",
        "get aws reader",
        "abandon aws reader --lease 00ff",
        "invalidate aws --all",
        "watch aws",
        "stats",
        "health",
    ] {
        assert_ended(&run(&nowhere, line, b"token").await, 69, "can't be reached");
    }
}
