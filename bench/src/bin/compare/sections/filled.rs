//! The server of the sections for which one credential is enough.

use prost::Message;

use crate::{
    failure::Failure,
    probe::{self, KEY, Probe},
    servers::{Server, Stage},
};

/// credcache with one credential, and what it answers a Get.
pub(super) struct Filled {
    pub(super) server: Server,
    pub(super) probe: Probe,
    pub(super) answer: Vec<u8>,
}

impl Filled {
    /// With a value of so many bytes.
    pub(super) fn start(stage: &Stage, bytes: usize) -> Result<Self, Failure> {
        let server = stage.credcache(None)?;
        let probe = Probe::connect(&server.address)?;
        let value = probe::value(bytes);
        probe.put(probe::with_region(probe::put_request(KEY, &value)))?;
        let answer = probe.check_get(KEY, &value)?.encode_to_vec();
        Ok(Self {
            server,
            probe,
            answer,
        })
    }
}
