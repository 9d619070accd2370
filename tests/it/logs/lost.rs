//! A log that can't be written: a full disk, a pipe that nobody reads, one whose
//! reader died. It costs lines, and nothing else.

use std::{fs::File, io::pipe, net::SocketAddr, process::Stdio, time::Duration};

use rustix::process::Signal;
use tokio::{net::TcpStream, task::JoinHandle, time::Instant};

use crate::fixture::{RawClient, RawPeer, Server, within};

/// Frames that the server answers nothing to, and logs a line for at least.
const FLOOD: &[u8] = &[0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
/// How many of them are sent at a time.
const FRAMES: usize = 500;
/// More than the queue and the pipe hold, by far.
const LINES: usize = 40_000;

/// The lines to provoke: with CREDCACHE_LOG_LINES=1000000, so many.
#[expect(clippy::disallowed_methods, reason = "a setting of the test's own")]
fn lines() -> usize {
    std::env::var("CREDCACHE_LOG_LINES").map_or(LINES, |lines| lines.parse().unwrap())
}

/// A client whose small packets don't wait for each other: 40 ms would hide
/// whatever else a call waits for.
async fn connect(address: SocketAddr) -> RawClient {
    let stream = within(TcpStream::connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    within(RawClient::over(stream)).await.unwrap()
}

/// Provokes so many lines, and calls all the while; how long 99 of 100 calls
/// took at the most.
async fn provoke(address: SocketAddr, lines: usize) -> Duration {
    let mut client = connect(address).await;
    let flood: JoinHandle<()> = tokio::spawn(async move {
        for _ in 0..lines.div_ceil(FRAMES) {
            // It answers no pings, for which a connection has 40 s.
            let mut peer = RawPeer::connect(address).await;
            peer.send(&FLOOD.repeat(FRAMES)).await;
            peer.await_answer().await;
        }
    });
    let mut took = Vec::new();
    while !flood.is_finished() || took.len() < 200 {
        // It drops each answer's end, which h2 allows for some time only.
        if took.len() % 500 == 499 {
            client = connect(address).await;
        }
        let began = Instant::now();
        assert_eq!(within(client.check()).await.unwrap(), 1);
        took.push(began.elapsed());
    }
    flood.await.unwrap();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

fn start(stderr: impl Into<Stdio>) -> (Server, SocketAddr) {
    let longest = Duration::from_millis(lines().try_into().unwrap());
    let mut server = Server::with_stderr(&["--log-level", "trace"], stderr, longest);
    let address = server.listening_on().parse().unwrap();
    (server, address)
}

/// Ends the server, which has nothing to wait for but its log.
fn assert_ends_in_time(mut server: Server) {
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_that_cannot_be_written_holds_up_neither_calls_nor_the_end() {
    let lines = lines();
    let (usual, address) = start(Stdio::null());
    let before = provoke(address, lines).await;
    assert_ends_in_time(usual);

    let full_disk = File::options().write(true).open("/dev/full").unwrap();
    let (unread, nobody_reads) = pipe().unwrap();
    let (dead_reader, reader_died) = pipe().unwrap();
    drop(dead_reader);
    let stderrs: [(&str, Stdio); 3] = [
        ("full disk", full_disk.into()),
        ("nobody reads", nobody_reads.into()),
        ("reader died", reader_died.into()),
    ];
    for (what, stderr) in stderrs {
        let (server, address) = start(stderr);
        let took = provoke(address, lines).await;
        eprintln!("{what}: {took:?} where it was {before:?}, for 99 of 100 calls");
        // With few lines, on a machine that does other things, it says nothing.
        if lines > LINES {
            assert!(took <= 2 * before, "{what}: {took:?}, was {before:?}");
        }
        assert_ends_in_time(server);
    }
    drop(unread);
}

#[tokio::test]
async fn lines_that_were_lost_are_counted_and_told_when_somebody_reads_again() {
    let mut server = Server::start(&["--log-level", "trace", "--log-format", "json"]);
    let address = server.listening_on().parse().unwrap();
    // Nobody reads the log: the pipe is full, then the queue.
    provoke(address, LINES).await;
    let told = tokio::task::spawn_blocking(move || {
        let told = server.await_log("lines of the log are lost");
        (server, told)
    });
    let (mut server, told) = within(told).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["level"], "WARN");
    // What the pipe and the queue hold is less than half of them.
    let lost = told["lines"].as_u64().unwrap();
    assert!(lost > u64::try_from(LINES / 2).unwrap(), "{lost}");
    // What comes after is there again.
    let log = server.collect_log();
    server.signal(Signal::TERM);
    let log = within(tokio::task::spawn_blocking(|| log.join().unwrap()));
    let log = log.await.unwrap();
    assert_eq!(server.exit_code(), Some(0));
    assert!(log.contains("\"drained\""), "{log}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_goes_on_when_the_reader_of_its_log_dies() {
    let mut server = Server::start(&["--log-level", "trace"]);
    let address = server.listening_on().parse().unwrap();
    provoke(address, 100).await;
    server.close_log();
    provoke(address, 10_000).await;
    assert_ends_in_time(server);
}
