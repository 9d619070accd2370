//! The server over real sockets: through the library, and as the binary where signals, output and
//! exit codes matter.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy knows #[test] functions, but not what they share"
)]

mod authorities;
mod batches;
mod bounds;
mod calls;
mod command_line;
mod connections;
mod contract;
mod credentials;
mod drain;
mod fixture;
mod herd;
mod leases;
mod linearizability;
mod listeners;
mod logs;
mod malformed;
mod messages;
mod process;
mod protocol;
mod races;
mod revocation;
mod status_codes;
mod watch;
