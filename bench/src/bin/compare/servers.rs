//! The servers of this project: credcache, and those that answer with canned
//! bytes, the echo and the ceilings. Each is pinned to the server's core.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::{failure::Failure, process::Process};

/// Where the programs are, and which core is whose.
pub(crate) struct Stage {
    pub(crate) credcache: PathBuf,
    /// Where `echo`, `ceiling` and the others of this crate are.
    pub(crate) beside: PathBuf,
    pub(crate) server_core: u32,
    pub(crate) load_core: u32,
}

/// A started server.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// `host:port`, or `unix:` and a path.
    pub(crate) address: String,
    /// Where it listens too, if it was asked to.
    unix: Option<String>,
    /// Its configuration and its socket.
    _directory: TempDir,
}

impl Stage {
    /// credcache on a TCP port and a Unix socket; without a configuration file
    /// unless there is something to configure.
    pub(crate) fn credcache(&self, configuration: Option<&str>) -> Result<Server, Failure> {
        let directory = tempfile::tempdir()?;
        let unix = format!("--listen={}", socket_in(&directory));
        let mut arguments = vec!["serve", "--listen=127.0.0.1:0", unix.as_str()];
        let file = directory.path().join("credcache.toml");
        let config = format!("--config={}", file.display());
        if let Some(text) = configuration {
            fs::write(&file, text)?;
            arguments.push(&config);
        }
        let mut process = Process::start(&self.credcache, self.server_core, &arguments, &[])?;
        Ok(Server {
            address: process.listening()?,
            unix: Some(process.listening()?),
            process,
            _directory: directory,
        })
    }

    /// One that answers every call with `message`.
    pub(crate) fn canned(
        &self,
        canned: &Canned,
        transport: Transport,
        message: &[u8],
    ) -> Result<Server, Failure> {
        let directory = tempfile::tempdir()?;
        let listen = match transport {
            Transport::Tcp => "127.0.0.1:0".to_owned(),
            Transport::Unix => socket_in(&directory),
        };
        let arguments = [canned.arguments, &[listen.as_str()]].concat();
        let program = self.beside.join(canned.program);
        let mut process = Process::start(&program, self.server_core, &arguments, message)?;
        Ok(Server {
            address: process.listening()?,
            unix: None,
            process,
            _directory: directory,
        })
    }
}

/// A server that knows one answer only.
pub(crate) struct Canned {
    /// As it stands in the table.
    pub(crate) name: &'static str,
    pub(crate) program: &'static str,
    pub(crate) arguments: &'static [&'static str],
}

pub(crate) const CEILING: Canned = Canned {
    name: "ceiling",
    program: "ceiling",
    arguments: &[],
};

pub(crate) static CANNED: [Canned; 4] = [
    Canned {
        name: "bare h2, gathered",
        program: "ceiling",
        arguments: &["--kind=h2-gathered"],
    },
    Canned {
        name: "ceiling, writes gathered",
        program: "ceiling",
        arguments: &["--kind=hyper-gathered"],
    },
    CEILING,
    Canned {
        name: "echo",
        program: "echo",
        arguments: &[],
    },
];

/// Between load and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
}

impl Server {
    /// Where it listens on this transport.
    pub(crate) fn on(&self, transport: Transport) -> &str {
        match (transport, &self.unix) {
            (Transport::Unix, Some(unix)) => unix,
            _ => &self.address,
        }
    }
}

fn socket_in(directory: &TempDir) -> String {
    format!("unix:{}", directory.path().join("socket").display())
}
