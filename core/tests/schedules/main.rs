//! The core under a scheduler that chooses the next thread at every lock and atomic operation, and
//! explores thousands of such schedules per scenario.
//!
//! A scenario is a stage and a few actors, each of which is a thread. Every call is recorded. When
//! all actors have ended, the history is checked (see the crate `credcache-history`), and so is the
//! final content of the cache. So an actor only acts, and needs no assertions of its own.
//!
//! `CREDCACHE_SCHEDULES` sets the number of schedules per scenario, and `CREDCACHE_SCHEDULE`
//! replays the schedule that a failure printed. All threads see atomic operations in one order,
//! whatever ordering they name; the effects of weaker orderings aren't explored.

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
