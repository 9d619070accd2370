//! memcached, filled over its text protocol. It is here for its memory; no load
//! tool that Debian packages gives a rate to rely on.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
};

use super::{connect, free_port};
use crate::{
    failure::Failure,
    process::{self, Process},
    servers::Stage,
};

pub(crate) struct Memcached {
    pub(crate) process: Process,
    /// Filled while others look at the process.
    connection: RefCell<BufReader<TcpStream>>,
}

impl Memcached {
    /// With room for `mebibytes`, and one worker.
    pub(crate) fn start(stage: &Stage, mebibytes: u32) -> Result<Self, Failure> {
        let port = free_port()?;
        let arguments = [
            ["-p", &port.to_string()],
            ["-l", "127.0.0.1"],
            ["-U", "0"],
            ["-t", "1"],
            ["-m", &mebibytes.to_string()],
            // It won't run as root; ignored by anybody else.
            ["-u", "nobody"],
        ];
        let process = Process::start(
            Path::new("memcached"),
            stage.server_core,
            arguments.as_flattened(),
            &[],
        )?;
        Ok(Self {
            connection: RefCell::new(BufReader::new(connect("memcached", port)?)),
            process,
        })
    }

    /// `set` for each, to end in an hour.
    pub(crate) fn fill(
        &self,
        entries: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), Failure> {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let mut commands = Vec::new();
            let mut sent = 0;
            for (key, value) in entries.by_ref().take(1000) {
                commands.extend(format!("set {key} 0 3600 {}\r\n", value.len()).bytes());
                commands.extend(value);
                commands.extend(b"\r\n");
                sent += 1;
            }
            self.connection
                .borrow_mut()
                .get_mut()
                .write_all(&commands)?;
            for _ in 0..sent {
                let line = self.line()?;
                if line != "STORED" {
                    return Err(Failure::WrongAnswer(format!("memcached answered {line}")));
                }
            }
        }
        Ok(())
    }

    /// How many items it holds.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        self.connection
            .borrow_mut()
            .get_mut()
            .write_all(b"stats\r\n")?;
        let mut items = None;
        loop {
            let line = self.line()?;
            if line.is_empty() || line == "END" {
                return items.ok_or(Failure::Unreadable {
                    program: "memcached",
                    what: "curr_items",
                });
            }
            if let Some(number) = line.strip_prefix("STAT curr_items ") {
                items = number.parse().ok();
            }
        }
    }

    fn line(&self) -> Result<String, Failure> {
        let mut line = String::new();
        self.connection.borrow_mut().read_line(&mut line)?;
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

/// Which memcached there is.
pub(crate) fn version() -> Result<String, Failure> {
    Ok(process::run("memcached", ["--version"])?.trim().to_owned())
}
