//! The client against a server whose every answer the test gives itself.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod fake;
mod get_or_fetch;
mod in_place;
mod late;
mod leases;
mod lifetimes;
mod near_cache;
mod outage;
mod together;
mod watch;

// The generated code of the service finds its messages under this name.
use credcache_client::proto;
