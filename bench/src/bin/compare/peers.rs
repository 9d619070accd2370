//! The servers of others, as their packages bring them, pinned and in memory.

pub(crate) mod etcd;
pub(crate) mod memcached;
pub(crate) mod redis;

use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use crate::{failure::Failure, process::Process, servers::Stage};

/// A server, and a connection to it that speaks in lines.
pub(crate) struct Peer {
    pub(crate) process: Process,
    name: &'static str,
    /// The load runs while others look at the process.
    connection: RefCell<BufReader<TcpStream>>,
}

impl Peer {
    /// Starts it, and connects as soon as it listens at `port`.
    fn start(
        stage: &Stage,
        name: &'static str,
        port: u16,
        arguments: &[[&str; 2]],
    ) -> Result<Self, Failure> {
        let arguments = arguments.as_flattened();
        let process = Process::start(Path::new(name), stage.server_core, arguments, &[])?;
        for _ in 0..500 {
            if let Ok(socket) = TcpStream::connect(("127.0.0.1", port)) {
                socket.set_nodelay(true)?;
                return Ok(Self {
                    process,
                    name,
                    connection: RefCell::new(BufReader::new(socket)),
                });
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(Failure::NotListening(name.to_owned()))
    }

    /// Stores each entry by a command, which is answered by `stored`.
    fn fill(
        &self,
        entries: impl IntoIterator<Item = (String, Vec<u8>)>,
        set: fn(&mut Vec<u8>, &str, &[u8]),
        stored: &str,
    ) -> Result<(), Failure> {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut commands = Vec::new();
            let mut sent = 0;
            for (key, value) in entries.by_ref().take(1000) {
                set(&mut commands, &key, &value);
                sent += 1;
            }
            self.send(&commands)?;
            for _ in 0..sent {
                let line = self.line()?;
                if line != stored {
                    let what = format!("{} answered {line}", self.name);
                    return Err(Failure::WrongAnswer(what));
                }
            }
        }
        Ok(())
    }

    /// The number behind `start` in the answer to `command`, which ends with a
    /// line that `is_last`.
    fn number(
        &self,
        command: &str,
        start: &'static str,
        is_last: fn(&str) -> bool,
    ) -> Result<u64, Failure> {
        self.send(command.as_bytes())?;
        let mut number = None;
        loop {
            let line = self.line()?;
            if let Some(found) = line.strip_prefix(start) {
                number = found.parse().ok();
            }
            if is_last(&line) {
                let (program, what) = (self.name, start);
                return number.ok_or(Failure::Unreadable { program, what });
            }
        }
    }

    fn send(&self, command: &[u8]) -> io::Result<()> {
        self.connection.borrow_mut().get_mut().write_all(command)
    }

    fn line(&self) -> io::Result<String> {
        let mut line = String::new();
        if self.connection.borrow_mut().read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

/// A port nobody listens on; those servers can't be asked for any.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
