//! credcache: a gRPC cache for the short-lived credentials of a service mesh.
//!
//! The map of the modules; the arrows run one way, `server → rpc → credcache-core`.

pub mod cli;
pub mod clock;
pub mod config;
mod duration;
mod pace;
pub mod rpc;
pub mod server;
pub mod telemetry;
