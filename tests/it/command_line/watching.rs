//! `credcache watch` as a child whose output is read line by line.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{json, run, serve};
use crate::fixture::{Server, credcache, within};

/// The child is killed if the test fails.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(address: &str, line: &str) -> Self {
        let args: Vec<_> = line.split_whitespace().collect();
        let mut command = Command::from(credcache(&args));
        let mut child = command
            .args(["--server", address])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        within(self.lines.next_line()).await.unwrap().unwrap()
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// The exit code, and the text of stderr.
    async fn ended(mut self) -> (Option<i32>, String) {
        let mut message = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        within(stderr.read_to_string(&mut message)).await.unwrap();
        (within(self.child.wait()).await.unwrap().code(), message)
    }
}

#[tokio::test]
async fn what_changes_is_printed_as_it_changes_until_a_signal() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let (_server, address) = serve().await;
        let mut watch = Watching::start(&address, "watch aws --heartbeats");
        // The watch has begun.
        assert!(watch.line().await.contains(" heartbeat instance "));
        run(&address, "put aws reader --ttl 30s", b"token").await;
        run(&address, "put oauth other --ttl 30s", b"token").await;
        run(&address, "invalidate aws --tag prod", b"").await;
        let mut lines = Vec::new();
        while lines.len() < 2 {
            let line = watch.line().await;
            if !line.contains("heartbeat") {
                lines.push(line);
            }
        }
        assert_eq!(lines[0], "1 replaced key \"reader\" version 1");
        assert_eq!(lines[1], "3 invalidated tag \"prod\"");
        watch.signal(signal);
        assert_eq!(watch.ended().await, (Some(0), String::new()));
    }
}

#[tokio::test]
async fn watch_goes_on_from_where_an_earlier_one_stood() {
    let (_server, address) = serve().await;
    let mut earlier = Watching::start(&address, "watch aws --heartbeats");
    // From here on, the server keeps changes for watchers.
    earlier.line().await;
    let put = json(&run(&address, "put aws a --ttl 30s --output json", b"token").await);
    run(&address, "put aws b --ttl 30s", b"token").await;
    let stats = json(&run(&address, "stats --output json", b"").await);
    let instance = stats["server"]["instance_id"].as_str().unwrap();
    let line = format!(
        "watch aws --output json --from {instance}:{}",
        put["version"]
    );
    let mut watch = Watching::start(&address, &line);
    let event = watch.json().await;
    assert_eq!(
        (&event["event"], &event["key"]),
        (&"replaced".into(), &"b".into())
    );
    assert_eq!(event["instance_id"], instance);
    let mut elsewhere = Watching::start(&address, "watch aws --output json --from another:1");
    let event = elsewhere.json().await;
    assert_eq!(event["event"], "reset");
    assert_eq!(event["instance_id"], instance);
}

#[tokio::test]
async fn reader_that_leaves_ends_it_quietly_though_nothing_happens() {
    let (_server, address) = serve().await;
    let mut earlier = Watching::start(&address, "watch aws --heartbeats");
    earlier.line().await;
    let put = json(&run(&address, "put aws a --ttl 30s --output json", b"token").await);
    run(&address, "put aws b --ttl 30s", b"token").await;
    let stats = json(&run(&address, "stats --output json", b"").await);
    let instance = stats["server"]["instance_id"].as_str().unwrap();
    let line = format!("watch aws --from {instance}:{}", put["version"]);
    let mut watch = Watching::start(&address, &line);
    // The last line.
    assert!(watch.line().await.contains("key \"b\""));
    let Watching { mut child, lines } = watch;
    drop(lines);
    let mut message = String::new();
    let mut stderr = child.stderr.take().unwrap();
    within(stderr.read_to_string(&mut message)).await.unwrap();
    assert_eq!(message, "");
    assert_eq!(within(child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn server_that_goes_away_ends_it_with_69() {
    let (server, address) = serve().await;
    let mut watch = Watching::start(&address, "watch aws --heartbeats");
    watch.line().await;
    within(server.shut_down()).await.unwrap().unwrap();
    while within(watch.lines.next_line()).await.unwrap().is_some() {}
    let (code, message) = watch.ended().await;
    assert_eq!(code, Some(69), "{message}");
    assert!(message.contains("--from "), "{message}");
}

#[tokio::test]
async fn server_that_says_nothing_any_more_ends_it_with_69() {
    let mut server = Server::start(&[]);
    let address = server.listening_on();
    let line = "watch aws --heartbeats --output json --timeout 100ms";
    let mut watch = Watching::start(&address, line);
    let stood = watch.json().await;
    server.signal(Signal::STOP);
    while within(watch.lines.next_line()).await.unwrap().is_some() {}
    let (code, message) = watch.ended().await;
    assert_eq!(code, Some(69), "{message}");
    assert!(message.contains("has sent nothing for 3s"), "{message}");
    let from = format!("--from {}:", stood["instance_id"].as_str().unwrap());
    assert!(message.contains(&from), "{message}");
}
