//! The core under a scheduler that decides at every lock and every atomic who
//! goes on, and tries out tens of thousands of such schedules a scenario.
//!
//! A scenario is a stage and a few actors on it, each a thread. Every call is
//! recorded, and when all have ended the history is judged (see the crate
//! `credcache-history`), and so is what the cache holds then. So an actor only
//! acts; it needs no assertions of its own.
//!
//! `CREDCACHE_SCHEDULES` sets the schedules of each scenario,
//! `CREDCACHE_SCHEDULE` replays the one that a failure printed. Atomics run in
//! one order for all threads, whatever ordering they name: what a weaker one
//! allows isn't tried.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "clippy knows #[test] functions, but not what they share"
)]

mod expiry;
mod explore;
mod fences;
mod invalidation;
mod journal;
mod leases;
mod namespaces;
mod preconditions;
mod replacement;
mod room;
mod stage;
