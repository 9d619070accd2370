//! The servers of this project: credcache, and the two that answer with canned
//! bytes, the echo and the ceiling. Each is pinned to the server's core.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use credcache_bench::address::Address;
use tempfile::{NamedTempFile, TempDir};

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
    pub(crate) address: Address,
    /// Where it listens too, if it was asked to.
    pub(crate) unix: Option<Address>,
    /// What has to be there for as long as the server is.
    _files: (Option<NamedTempFile>, Option<TempDir>),
}

impl Stage {
    /// credcache on a TCP port and a Unix socket; without a configuration file
    /// unless there is something to configure.
    pub(crate) fn credcache(&self, configuration: Option<&str>) -> Result<Server, Failure> {
        let directory = tempfile::tempdir()?;
        let unix = socket_in(&directory);
        let mut arguments = vec![
            "serve".to_owned(),
            "--listen=127.0.0.1:0".to_owned(),
            format!("--listen={unix}"),
        ];
        let file = match configuration {
            Some(text) => {
                let mut file = NamedTempFile::new()?;
                file.write_all(text.as_bytes())?;
                arguments.push(format!("--config={}", file.path().display()));
                Some(file)
            }
            None => None,
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut process = Process::start(&self.credcache, self.server_core, &arguments, &[])?;
        let address = listening(&mut process)?;
        let unix = listening(&mut process)?;
        Ok(Server {
            process,
            address,
            unix: Some(unix),
            _files: (file, Some(directory)),
        })
    }

    /// One that answers every call with `message`.
    pub(crate) fn canned(
        &self,
        canned: Canned,
        transport: Transport,
        message: &[u8],
    ) -> Result<Server, Failure> {
        let directory = tempfile::tempdir()?;
        let listen = match transport {
            Transport::Tcp => "127.0.0.1:0".to_owned(),
            Transport::Unix => socket_in(&directory).to_string(),
        };
        let mut arguments = canned.arguments().to_vec();
        arguments.push(&listen);
        let program = self.beside.join(canned.program());
        let mut process = Process::start(&program, self.server_core, &arguments, message)?;
        Ok(Server {
            address: listening(&mut process)?,
            process,
            unix: None,
            _files: (None, Some(directory)),
        })
    }
}

/// A server that knows one answer only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canned {
    /// Bare hyper.
    Ceiling,
    /// The same, which doesn't write each answer by itself.
    GatheringCeiling,
    /// Bare tonic.
    Echo,
}

impl Canned {
    pub(crate) const ALL: [Self; 3] = [Self::GatheringCeiling, Self::Ceiling, Self::Echo];

    /// As it stands in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::GatheringCeiling => "ceiling, writes gathered",
            Self::Echo => "echo",
        }
    }

    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Ceiling | Self::GatheringCeiling => "ceiling",
            Self::Echo => "echo",
        }
    }

    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::GatheringCeiling => &["--gather"],
            Self::Ceiling | Self::Echo => &[],
        }
    }
}

/// Between load and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
}

impl Server {
    /// Where it listens on this transport.
    pub(crate) fn on(&self, transport: Transport) -> &Address {
        match (transport, &self.unix) {
            (Transport::Unix, Some(unix)) => unix,
            _ => &self.address,
        }
    }
}

/// The line that each of them prints once it can be reached.
fn listening(process: &mut Process) -> Result<Address, Failure> {
    let Ok(address) = process.line_after("listening on ")?.parse();
    Ok(address)
}

fn socket_in(directory: &TempDir) -> Address {
    let path: &Path = directory.path();
    Address::Unix(path.join("socket"))
}
