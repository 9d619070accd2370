//! credcache: a gRPC cache for the short-lived credentials of a service mesh.
//!
//! This library is the program without its `main`. Programs that call a server use the client crate
//! instead. The dependencies run one way: `main → server → rpc → credcache-core`.
//!
//! - [`cli`]: the command line, and the commands for people. Public for `main`.
//! - [`clock`]: the only reader of clocks. A test seam: tests set a manual clock.
//! - [`config`]: the settings of the server. Public for `main`, and a test seam: tests and examples
//!   configure a server in their own process.
//! - `duration`: durations as people type and read them.
//! - `fuzzing`: the properties that the targets of `fuzz/` check. Compiled for tests and with the
//!   feature of this name.
//! - `pacer`: paces background work that shares a worker with calls.
//! - [`rpc`]: the service, from messages to the core and back. A test seam: tests serve a cache and
//!   a clock of their own.
//! - [`server`]: listeners, connections, workers and the drain. Public for `main`, and a test seam:
//!   tests and examples run a server in their own process.
//! - [`telemetry`]: the log. Public for `main`.

pub mod cli;
pub mod clock;
pub mod config;
mod duration;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod pacer;
pub mod rpc;
pub mod server;
pub mod telemetry;
