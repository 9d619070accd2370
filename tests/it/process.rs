//! The binary as scripts and orchestrators see it: stdout, signals, exit codes.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::fixture::{CHECK, Client, until_served};

/// A `credcache serve` on port 0, killed if a test fails.
struct Server {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        Self::spawn(credcache(&["serve", "--listen", "127.0.0.1:0"]).args(args))
    }

    /// One whose open files are limited by the shell.
    fn with_descriptors(limit: &str) -> Self {
        let script = format!("{limit} && exec \"$0\" serve --listen 127.0.0.1:0");
        let binary = env!("CARGO_BIN_EXE_credcache");
        Self::spawn(Command::new("sh").args(["-c", &script, binary]))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            stderr: BufReader::new(child.stderr.take().unwrap()).lines(),
            child,
        }
    }

    fn listening_on(&mut self) -> String {
        let line = self.stdout.next().unwrap().unwrap();
        line.strip_prefix("listening on ").unwrap().to_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    fn await_log(&mut self, text: &str) {
        let found = self.stderr.any(|line| line.unwrap().contains(text));
        assert!(found, "{text:?} isn't in the log");
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn credcache(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credcache"));
    command.args(args).env_remove("CREDCACHE_CONFIG");
    command
}

fn run(args: &[&str]) -> Output {
    credcache(args).output().unwrap()
}

// The client answers on the other thread while this one waits for the process.
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
        let mut client = Client::connect(address).await;
        assert_eq!(client.check().await.unwrap(), 1);
        server.signal(signal);
        assert_eq!(server.exit_code(), Some(0));
        assert!(!socket.exists());
    }
}

#[tokio::test]
async fn second_signal_ends_the_drain_at_once() {
    let mut server = Server::start(&["--drain-timeout", "1h"]);
    let mut client = Client::connect(server.listening_on().parse().unwrap()).await;
    let (_response, _body) = client.begin(CHECK, &[]).await.unwrap();
    assert_eq!(client.check().await.unwrap(), 1);
    server.signal(Signal::TERM);
    server.await_log("drain begins");
    server.signal(Signal::TERM);
    server.await_log("ending at once");
    assert_eq!(server.exit_code(), Some(0));
}

#[tokio::test]
async fn server_without_file_descriptors_goes_on_when_it_has_some_again() {
    let mut server = Server::with_descriptors("ulimit -n 32");
    let address: SocketAddr = server.listening_on().parse().unwrap();
    let connections: Vec<_> = (0..32)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    server.await_log("accepting failed");
    drop(connections);
    until_served(address).await;
}

#[tokio::test]
async fn soft_limit_of_open_files_does_not_bound_the_connections() {
    let mut server = Server::with_descriptors("ulimit -S -n 32");
    let address: SocketAddr = server.listening_on().parse().unwrap();
    let mut clients = Vec::new();
    for _ in 0..32 {
        let mut client = Client::connect(address).await;
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
fn address_that_is_taken_ends_with_70() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--listen", &address]);
    assert_eq!(output.status.code(), Some(70));
    assert!(output.stdout.is_empty());
}
