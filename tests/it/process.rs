//! The binary as scripts and orchestrators see it: stdout, signals, exit codes.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Output, Stdio},
    time::Duration,
};

use bytes::Bytes;
use credcache_client::{Client, Lifetime, Put, Secret};
use rustix::{
    io::ioctl_fionbio,
    process::{Resource, Rlimit, Signal, getrlimit, prlimit},
};
use tempfile::TempDir;

use crate::fixture::{
    CHECK, EMPTY_MESSAGE, RawClient, Server, credcache, entries, serving_status, until_served,
    within,
};

fn run(args: &[&str]) -> Output {
    credcache(args).output().unwrap()
}

#[test]
fn binary_of_this_repository_has_the_allocators_settings() {
    let mut server = Server::start(&[]);
    let log = server.collect_log();
    server.listening_on();
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    let log = log.join().unwrap();
    assert!(log.contains("starting"), "{log}");
    assert!(!log.contains("allocator"), "{log}");
}

// The client answers on the other thread while this thread waits for the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bound_addresses_are_printed_and_a_signal_ends_with_zero() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("c.sock");
        let unix = format!("unix:{}", socket.display());
        let mut server = Server::start(&["--listen", &unix]);
        let address: SocketAddr = server.listening_on().parse().unwrap();
        assert_ne!(address.port(), 0);
        assert_eq!(server.listening_on(), unix);
        assert!(socket.exists());
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.check().await.unwrap(), 1);
        server.signal(signal);
        assert_eq!(server.exit_code(), Some(0));
        assert!(!socket.exists());
    }
}

// A regression test: a level that discarded the log line about the signal also discarded the wait
// for the signal.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn server_that_logs_nothing_serves_until_a_signal() {
    for level in ["error", "off"] {
        let mut server = Server::start(&["--log-level", level]);
        let mut client = RawClient::connect(server.listening_on().parse().unwrap()).await;
        assert_eq!(client.check().await.unwrap(), 1);
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[tokio::test]
async fn second_signal_ends_the_drain_at_once() {
    let mut server = Server::start(&["--drain-timeout", "1h"]);
    let mut client = RawClient::connect(server.listening_on().parse().unwrap()).await;
    let (_response, _body) = client.begin(CHECK, &[]).await.unwrap();
    assert_eq!(client.check().await.unwrap(), 1);
    server.signal(Signal::TERM);
    server.await_log("drain begins");
    let log = server.collect_log();
    within(async {
        // The first signals may come too early to count as a second request.
        while !server.has_ended() {
            server.signal(Signal::TERM);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(server.exit_code(), Some(0));
    let log = log.join().unwrap();
    assert!(log.contains("ending at once"), "{log}");
}

// GNU timeout sends one signal to the process and one to its group.
#[tokio::test]
async fn two_signals_at_once_do_not_end_the_drain() {
    for second in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&["--drain-timeout", "1h"]);
        let mut client = RawClient::connect(server.listening_on().parse().unwrap()).await;
        let (response, mut body) = client.begin(CHECK, &[]).await.unwrap();
        assert_eq!(client.check().await.unwrap(), 1);
        server.signal(Signal::TERM);
        server.signal(second);
        server.await_log("drain begins");
        body.send_data(Bytes::from_static(EMPTY_MESSAGE), true)
            .unwrap();
        assert_eq!(serving_status(response).await.unwrap(), 2);
        drop(client);
        server.await_log("drained");
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[tokio::test]
async fn hangup_ends_nothing() {
    let mut server = Server::start(&[]);
    let mut client = RawClient::connect(server.listening_on().parse().unwrap()).await;
    for _ in 0..2 {
        server.signal(Signal::HUP);
        server.await_log("SIGHUP");
        assert_eq!(client.check().await.unwrap(), 1);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
}

#[tokio::test]
async fn quit_ends_at_once_and_dumps_no_core() {
    for is_draining in [false, true] {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("c.sock");
        let unix = format!("unix:{}", socket.display());
        let mut server = Server::start(&["--drain-timeout", "1h", "--listen", &unix]);
        let mut client = RawClient::connect(server.listening_on().parse().unwrap()).await;
        let (response, _body) = client.begin(CHECK, &[]).await.unwrap();
        assert_eq!(client.check().await.unwrap(), 1);
        if is_draining {
            server.signal(Signal::TERM);
            server.await_log("drain begins");
        }
        server.signal(Signal::QUIT);
        assert_eq!(server.exit_code(), Some(0));
        assert!(within(response).await.is_err());
        assert!(!socket.exists());
    }
}

#[tokio::test]
async fn drain_that_was_cut_short_is_not_logged_as_done() {
    let mut server = Server::start(&["--drain-timeout", "20ms"]);
    let log = server.collect_log();
    let mut client = RawClient::connect(server.listening_on().parse().unwrap()).await;
    let (_response, _body) = client.begin(CHECK, &[]).await.unwrap();
    assert_eq!(client.check().await.unwrap(), 1);
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    let log = log.join().unwrap();
    assert!(log.contains("drain was cut short"), "{log}");
    assert!(!log.contains("drained"), "{log}");
}

#[tokio::test]
async fn server_without_file_descriptors_goes_on_when_it_has_some_again() {
    let mut server = Server::start(&[]);
    let address: SocketAddr = server.listening_on().parse().unwrap();
    until_served(address).await;
    // Fewer files than the server assumed when it started.
    let files = |current| {
        let limit = Rlimit {
            current: Some(current),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        prlimit(Some(server.pid()), Resource::Nofile, limit).unwrap()
    };
    let before = files(1);
    let connection = TcpStream::connect(address).unwrap();
    server.await_log("accepting failed");
    prlimit(Some(server.pid()), Resource::Nofile, before).unwrap();
    until_served(address).await;
    drop(connection);
}

#[tokio::test]
async fn clients_beyond_the_limit_of_open_files_are_closed_at_once() {
    let mut server = Server::with_descriptors("ulimit -n 64");
    let address: SocketAddr = server.listening_on().parse().unwrap();
    let line = server.await_log("the limit of open files");
    let allowed = line.split("allowed=").nth(1).unwrap();
    let allowed: usize = allowed.split(' ').next().unwrap().parse().unwrap();
    assert!((10..64).contains(&allowed), "{line}");
    let mut clients = Vec::new();
    for _ in 0..allowed {
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.check().await.unwrap(), 1);
        clients.push(client);
    }
    for _ in 0..64 {
        let closed = tokio::task::spawn_blocking(move || {
            let mut client = TcpStream::connect(address).unwrap();
            // Less than the timeout for a preface that doesn't come.
            client
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            client.read(&mut [0])
        });
        match closed.await.unwrap() {
            Ok(read) => assert_eq!(read, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    for client in &mut clients {
        assert_eq!(client.check().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn soft_limit_of_open_files_does_not_bound_the_connections() {
    let mut server = Server::with_descriptors("ulimit -S -n 32");
    let address: SocketAddr = server.listening_on().parse().unwrap();
    let mut clients = Vec::new();
    for _ in 0..32 {
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.check().await.unwrap(), 1);
        clients.push(client);
    }
}

#[test]
fn plaintext_that_others_can_reach_ends_with_64() {
    let output = run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(64));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("--insecure"), "{stderr}");
    let mut allowed = Server::start(&["--listen", "0.0.0.0:0", "--insecure"]);
    allowed.listening_on();
    assert!(allowed.listening_on().starts_with("0.0.0.0:"));
}

#[test]
fn wrong_configuration_ends_with_64_and_names_the_settings() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("credcache.toml");
    fs::write(&file, "limits.max_streams = 0\nlog.colour = true").unwrap();
    for command in ["serve", "check-config"] {
        let output = run(&[command, "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(64));
        assert!(output.stdout.is_empty());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("limits.max_streams"), "{stderr}");
        assert!(stderr.contains("log.colour"), "{stderr}");
    }
    let output = run(&["serve", "--config", "/no/such/file"]);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn checked_configuration_is_printed_as_toml() {
    let output = credcache(&["check-config"])
        .env("CREDCACHE_LIMITS_MAX_STREAMS", "7")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("\nmax_streams = 7\n"), "{stdout}");
}

#[test]
fn address_that_is_taken_ends_with_70_and_is_told_once_at_any_level() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for level in ["off", "error"] {
        let output = run(&["serve", "--listen", &address, "--log-level", level]);
        assert_eq!(output.status.code(), Some(70));
        assert!(output.stdout.is_empty());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.matches(&address).count(), 1, "{stderr}");
    }
}

#[tokio::test]
async fn server_takes_back_what_has_expired_though_nobody_asks_for_it() {
    let mut server = Server::start(&[]);
    let client = within(Client::connect(&server.listening_on()))
        .await
        .unwrap();
    let lifetime = Lifetime::Ttl(Duration::from_secs(1));
    let put = Put::new("aws", "key", Secret::new("token"), lifetime);
    within(client.put(put)).await.unwrap();
    let stats = within(async {
        loop {
            let stats = client.stats(None).await.unwrap();
            if entries(&stats) == 0 {
                return stats;
            }
        }
    })
    .await;
    let expirations: u64 = stats.tiers.iter().map(|tier| tier.expirations).sum();
    assert_eq!(expirations, 1);
}

#[tokio::test]
async fn addresses_that_cannot_be_printed_are_no_reason_not_to_serve_and_to_end() {
    let (reader, mut full_pipe) = std::io::pipe().unwrap();
    ioctl_fionbio(&full_pipe, true).unwrap();
    while full_pipe.write(&[b'x'; 4096]).is_ok() {}
    while full_pipe.write(b"x").is_ok() {}
    ioctl_fionbio(&full_pipe, false).unwrap();
    let (dead_reader, dead_pipe) = std::io::pipe().unwrap();
    drop(dead_reader);
    let stdouts: [Stdio; 3] = [full_device().into(), full_pipe.into(), dead_pipe.into()];
    for stdout in stdouts {
        let directory = TempDir::new().unwrap();
        let socket = format!("unix:{}/c.sock", directory.path().display());
        let mut server = Server::with_stdout(&socket, stdout);
        server.await_log("listening");
        let client = within(Client::connect(&socket)).await.unwrap();
        within(client.stats(None)).await.unwrap();
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(0));
    }
    drop(reader);
}

#[test]
fn exit_code_is_right_though_nothing_can_be_printed() {
    for (args, code) in [
        (&["serve", "--listen", "nowhere"][..], 64),
        (&["serve", "--config", "/no/such/file"], 64),
        (&["serve", "--listen", "unix:/no/such/directory/c.sock"], 70),
        (
            &[
                "serve",
                "--listen",
                "unix:/no/such/directory/c.sock",
                "--log-level",
                "off",
            ],
            70,
        ),
        (&["check-config"], 70),
    ] {
        let mut command = credcache(args);
        let status = command.stdout(full_device()).stderr(full_device()).status();
        assert_eq!(status.unwrap().code(), Some(code), "{args:?}");
    }
}

/// A disk without room.
fn full_device() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}
