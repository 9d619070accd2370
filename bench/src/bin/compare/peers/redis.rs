//! Redis without persistence, loaded by redis-benchmark, and filled and asked
//! for its counters over a connection of our own.

use tempfile::TempDir;

use super::{Peer, free_port};
use crate::{
    failure::Failure,
    process,
    servers::{Stage, Transport},
};

pub(crate) struct Redis {
    pub(crate) peer: Peer,
    /// The core of its load.
    core: u32,
    port: String,
    socket: String,
    _directory: TempDir,
}

impl Redis {
    pub(crate) fn start(stage: &Stage) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let free = free_port()?;
        let port = free.to_string();
        let socket = directory.path().join("socket").display().to_string();
        let arguments = [
            ["--port", &port],
            ["--bind", "127.0.0.1"],
            ["--unixsocket", &socket],
            ["--save", ""],
            ["--appendonly", "no"],
        ];
        Ok(Self {
            peer: Peer::start(stage, "redis-server", free, &arguments)?,
            core: stage.load_core,
            port,
            socket,
            _directory: directory,
        })
    }

    /// With these entries.
    pub(crate) fn filled(
        stage: &Stage,
        entries: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<Self, Failure> {
        let redis = Self::start(stage)?;
        redis.fill(entries)?;
        Ok(redis)
    }

    /// `SET key value EX 3600` for each, pipelined.
    pub(crate) fn fill(
        &self,
        entries: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), Failure> {
        let set = |out: &mut Vec<u8>, key: &str, value: &[u8]| {
            command(out, &[b"SET", key.as_bytes(), value, b"EX", b"3600"]);
        };
        self.peer.fill(entries, set, "+OK")
    }

    /// How many keys it holds.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        self.peer.number("DBSIZE\r\n", ":", |_| true)
    }

    /// Runs redis-benchmark for one command, unpipelined; how many a second. An
    /// error unless `hits` keys were found by each.
    pub(crate) fn load(
        &self,
        (transport, connections): (Transport, u32),
        requests: u64,
        words: &[&str],
        hits: u64,
    ) -> Result<f64, Failure> {
        let before = self.hits()?;
        let (option, place) = match transport {
            Transport::Tcp => ("-p", &self.port),
            Transport::Unix => ("-s", &self.socket),
        };
        let (connections, count) = (connections.to_string(), requests.to_string());
        let options = ["--csv", option, place, "-c", &connections, "-n", &count];
        let arguments = options.iter().chain(words).map(|word| (*word).to_owned());
        let rate = rate(&process::run_on(self.core, "redis-benchmark", arguments)?)?;
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
        let is_last = |line: &str| line.is_empty();
        self.peer
            .number("INFO stats\r\n", "keyspace_hits:", is_last)
    }
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
        .ok_or(Failure::Unreadable {
            program: "redis-benchmark",
            what: "the rate",
        })
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
