//! memcached, filled over its text protocol. It is here for its memory; no load
//! tool that Debian packages gives a rate to rely on.

use super::{Peer, free_port};
use crate::{failure::Failure, servers::Stage};

pub(crate) struct Memcached(pub(crate) Peer);

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
        Ok(Self(Peer::start(stage, "memcached", port, &arguments)?))
    }

    /// `set` for each, to end in an hour.
    pub(crate) fn fill(
        &self,
        entries: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), Failure> {
        let set = |out: &mut Vec<u8>, key: &str, value: &[u8]| {
            out.extend(format!("set {key} 0 3600 {}\r\n", value.len()).bytes());
            out.extend_from_slice(value);
            out.extend(b"\r\n");
        };
        self.0.fill(entries, set, "STORED")
    }

    /// How many items it holds.
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        let is_last = |line: &str| line == "END";
        self.0.number("stats\r\n", "STAT curr_items ", is_last)
    }
}
