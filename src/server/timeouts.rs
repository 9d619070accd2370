//! How long the server waits for what a peer alone decides.

use std::time::Duration;

/// The timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the connection to the end of the HTTP/2 preface: over a mesh it
    /// takes one round trip.
    pub preface: Duration,
    /// For the peer to take any of what is to be written, once the kernel's
    /// buffers are full. A peer that fills none, and reads nothing, is found by
    /// pings; one that sends and never reads isn't, for they are behind what it
    /// doesn't read.
    pub write: Duration,
    /// From a request's headers to the end of its body, whatever deadline the
    /// caller set. How long the answer takes is not meant.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            preface: Duration::from_secs(10),
            write: Duration::from_secs(30),
            request: Duration::from_secs(30),
        }
    }
}
