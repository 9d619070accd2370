//! The client against a server whose every answer the test gives itself.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod fake;
mod get_or_fetch;
mod leases;
mod near_cache;
mod outage;
mod watch;
