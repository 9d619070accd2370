//! Redis without persistence, loaded by redis-benchmark, and filled and asked
//! for its counters over a connection of our own.

use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
};

use tempfile::TempDir;

use super::{connect, free_port};
use crate::{
    failure::Failure,
    process::{self, Process},
    servers::{Stage, Transport},
};

pub(crate) struct Redis {
    pub(crate) process: Process,
    port: u16,
    directory: TempDir,
    /// The load runs while others look at the process.
    connection: RefCell<BufReader<TcpStream>>,
}

impl Redis {
    pub(crate) fn start(stage: &Stage) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let port = free_port()?;
        let socket = socket_in(&directory);
        let arguments = [
            ["--port", &port.to_string()],
            ["--bind", "127.0.0.1"],
            ["--unixsocket", &socket],
            ["--save", ""],
            ["--appendonly", "no"],
        ];
        let process = Process::start(
            Path::new("redis-server"),
            stage.server_core,
            arguments.as_flattened(),
            &[],
        )?;
        Ok(Self {
            connection: RefCell::new(BufReader::new(connect("redis-server", port)?)),
            process,
            port,
            directory,
        })
    }

    /// `SET key value EX 3600` for each, pipelined.
    pub(crate) fn fill(
        &self,
        entries: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), Failure> {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut commands = Vec::new();
            let mut sent = 0;
            for (key, value) in entries.by_ref().take(1000) {
                let words: [&[u8]; 5] = [b"SET", key.as_bytes(), &value, b"EX", b"3600"];
                command(&mut commands, &words);
                sent += 1;
            }
            self.send(&commands)?;
            for _ in 0..sent {
                self.expect("+OK")?;
            }
        }
        Ok(())
    }

    /// How many keys it holds.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        let mut words = Vec::new();
        command(&mut words, &[b"DBSIZE"]);
        self.send(&words)?;
        let line = self.line()?;
        line.strip_prefix(':')
            .and_then(|number| number.parse().ok())
            .ok_or(unreadable("DBSIZE"))
    }

    /// Runs redis-benchmark for one command, unpipelined; how many a second. An
    /// error unless `hits` keys were found by each.
    pub(crate) fn load(
        &self,
        core: u32,
        (transport, connections): (Transport, u32),
        requests: u64,
        words: &[&str],
        hits: u64,
    ) -> Result<f64, Failure> {
        let before = self.hits()?;
        let core = core.to_string();
        let port = self.port.to_string();
        let socket = socket_in(&self.directory);
        let amounts = [connections.to_string(), requests.to_string()];
        let mut arguments = vec!["-c", &core, "redis-benchmark", "--csv"];
        match transport {
            Transport::Tcp => arguments.extend(["-p", &port]),
            Transport::Unix => arguments.extend(["-s", &socket]),
        }
        arguments.extend(["-c", &amounts[0], "-n", &amounts[1]]);
        arguments.extend(words);
        let rate = rate(&process::run("taskset", arguments)?)?;
        let found = self.hits()? - before;
        if found == requests * hits {
            Ok(rate)
        } else {
            Err(Failure::WrongAnswer(format!(
                "redis counts {found} hits for {requests} requests of {hits}"
            )))
        }
    }

    fn hits(&self) -> Result<u64, Failure> {
        let mut words = Vec::new();
        command(&mut words, &[b"INFO", b"stats"]);
        self.send(&words)?;
        let length = self.line()?;
        let length: usize = length
            .strip_prefix('$')
            .and_then(|number| number.parse().ok())
            .ok_or(unreadable("INFO"))?;
        let mut text = vec![0; length + 2];
        self.connection.borrow_mut().read_exact(&mut text)?;
        String::from_utf8_lossy(&text)
            .lines()
            .find_map(|line| line.strip_prefix("keyspace_hits:"))
            .and_then(|number| number.trim().parse().ok())
            .ok_or(unreadable("keyspace_hits"))
    }

    fn expect(&self, expected: &str) -> Result<(), Failure> {
        let line = self.line()?;
        if line == expected {
            Ok(())
        } else {
            Err(Failure::WrongAnswer(format!("redis answered {line}")))
        }
    }

    fn send(&self, words: &[u8]) -> io::Result<()> {
        self.connection.borrow_mut().get_mut().write_all(words)
    }

    fn line(&self) -> io::Result<String> {
        let mut line = String::new();
        self.connection.borrow_mut().read_line(&mut line)?;
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

/// Which Redis there is.
pub(crate) fn version() -> Result<String, Failure> {
    let text = process::run("redis-server", ["--version"])?;
    let version = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="));
    Ok(format!("Redis {}", version.ok_or(unreadable("v="))?))
}

fn socket_in(directory: &TempDir) -> String {
    directory.path().join("socket").display().to_string()
}

/// An array of bulk strings.
fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        out.extend(format!("${}\r\n", word.len()).bytes());
        out.extend_from_slice(word);
        out.extend(b"\r\n");
    }
}

/// The second field of the last line; the first is the command, quoted.
fn rate(csv: &str) -> Result<f64, Failure> {
    csv.lines()
        .last()
        .and_then(|line| line.split("\",\"").nth(1))
        .and_then(|field| field.trim_matches('"').parse().ok())
        .ok_or(unreadable("the rate"))
}

fn unreadable(what: &'static str) -> Failure {
    Failure::Unreadable {
        program: "redis",
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_stands_behind_the_command_however_long_that_is() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"mget a, b\",\"22222.50\",\"0.287\"\n";
        assert_eq!(rate(csv).unwrap(), 22_222.5);
    }

    #[test]
    fn output_without_a_rate_is_refused() {
        assert!(rate("Could not connect").is_err());
    }

    #[test]
    fn command_is_an_array_of_its_words() {
        let mut out = Vec::new();
        command(&mut out, &[b"GET", b"k"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    }
}
