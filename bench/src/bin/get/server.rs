//! A server under load: started pinned to its core, killed when dropped, and
//! asked for the processor time it took.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use credcache_bench::proto::GetResponse;
use prost::Message;

use crate::error::BenchError;

pub(crate) struct Server {
    /// `host:port`.
    pub(crate) address: String,
    process: Child,
    /// Open for as long as the server may print.
    stdout: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn credcache(program: &Path, core: u32) -> Result<Self, BenchError> {
        Self::start(program, core, &["serve", "--listen", "127.0.0.1:0"], &[])
    }

    /// An echo that answers every Get with `answer`.
    pub(crate) fn echo(
        program: &Path,
        core: u32,
        answer: &GetResponse,
    ) -> Result<Self, BenchError> {
        Self::start(program, core, &[], &answer.encode_to_vec())
    }

    /// The processor time of all its threads since it started.
    pub(crate) fn processor_time(&self) -> Result<Duration, BenchError> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += schedstat
                .split_whitespace()
                .next()
                .and_then(|field| field.parse::<u64>().ok())
                .ok_or_else(|| io::Error::other("schedstat holds no processor time"))?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn start(
        program: &Path,
        core: u32,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Self, BenchError> {
        let name = program.display().to_string();
        if !program.is_file() {
            return Err(BenchError::Start {
                program: name,
                source: io::ErrorKind::NotFound.into(),
            });
        }
        // taskset becomes the program, so the child's id is the server's.
        let mut process = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| BenchError::Start {
                program: "taskset".to_owned(),
                source,
            })?;
        let not_listening = || BenchError::NotListening(name.clone());
        let stdin = process.stdin.take().ok_or_else(not_listening)?;
        let stdout = process.stdout.take().ok_or_else(not_listening)?;
        let mut server = Self {
            address: String::new(),
            process,
            stdout: BufReader::new(stdout),
        };
        { stdin }.write_all(input)?;

        let mut line = String::new();
        server.stdout.read_line(&mut line)?;
        server.address = line
            .trim_end()
            .strip_prefix("listening on ")
            .ok_or_else(not_listening)?
            .to_owned();
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error here means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
