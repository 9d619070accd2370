//! A log that can't be written: a full disk, a pipe without reads, a pipe whose reader has ended.
//! The log loses lines, and the server nothing else.

use std::{fs::File, io::pipe, net::SocketAddr, process::Stdio, time::Duration};

use rustix::process::Signal;
use tokio::{net::TcpStream, task::JoinHandle, time::Instant};

use crate::fixture::{RawClient, RawPeer, Server, within};

/// A frame that the server doesn't answer, and for which it logs at least one line.
const FLOOD: &[u8] = &[0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
/// How many of the frames are sent at a time.
const FRAMES: usize = 500;
/// Many more lines than the queue and the pipe hold.
const LINES: usize = 40_000;

/// The number of lines to provoke, which CREDCACHE_LOG_LINES sets.
#[expect(clippy::disallowed_methods, reason = "a setting of the test's own")]
fn lines() -> usize {
    std::env::var("CREDCACHE_LOG_LINES").map_or(LINES, |lines| lines.parse().unwrap())
}

/// A client whose small packets don't wait for each other: 40 ms would hide any other delay of a
/// call.
async fn connect(address: SocketAddr) -> RawClient {
    let stream = within(TcpStream::connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    within(RawClient::over(stream)).await.unwrap()
}

/// Provokes so many lines while it makes calls. Returns the latency that 99 % of the calls stay
/// within.
async fn provoke(address: SocketAddr, lines: usize) -> Duration {
    let mut client = connect(address).await;
    let flood: JoinHandle<()> = tokio::spawn(async move {
        for _ in 0..lines.div_ceil(FRAMES) {
            // The peer answers no pings, so a connection lasts 40 s.
            let mut peer = RawPeer::connect(address).await;
            peer.send(&FLOOD.repeat(FRAMES)).await;
            peer.await_answer().await;
        }
    });
    let mut took = Vec::new();
    while !flood.is_finished() || took.len() < 200 {
        // The client drops the end of each response, which h2 allows only for some time.
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

/// Ends the server, which has only its log to wait for.
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
    let (unread, without_reader) = pipe().unwrap();
    let (dead_reader, reader_died) = pipe().unwrap();
    drop(dead_reader);
    let stderrs: [(&str, Stdio); 3] = [
        ("full disk", full_disk.into()),
        ("without a reader", without_reader.into()),
        ("reader died", reader_died.into()),
    ];
    for (what, stderr) in stderrs {
        let (server, address) = start(stderr);
        let took = provoke(address, lines).await;
        eprintln!("{what}: {took:?} where it was {before:?}, for 99 of 100 calls");
        // With few lines on a busy machine, the figure means nothing.
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
    // Nothing reads the log: the pipe fills up, then the queue.
    provoke(address, LINES).await;
    let notice = tokio::task::spawn_blocking(move || {
        let notice = server.await_log("lines of the log were lost");
        (server, notice)
    });
    let (mut server, notice) = within(notice).await.unwrap();
    let notice: serde_json::Value = serde_json::from_str(&notice).unwrap();
    assert_eq!(notice["level"], "WARN");
    // The pipe and the queue hold less than half of the lines.
    let lost = notice["lines"].as_u64().unwrap();
    assert!(lost > u64::try_from(LINES / 2).unwrap(), "{lost}");
    // Later lines are written again.
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
