//! Client for credcache, the cache for the short-lived credentials of a service
//! mesh: one service asks the identity provider, the rest read the answer.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use credcache_client::{Client, Lifetime, Lookup, Put, Secret};
//!
//! # async fn example() -> Result<(), credcache_client::Error> {
//! let client = Client::connect("127.0.0.1:50051").await?;
//!
//! let token = Secret::new("the token the identity provider issued");
//! let fifteen_minutes = Lifetime::Ttl(Duration::from_secs(15 * 60));
//! client.put(Put::new("oauth", "billing", token, fifteen_minutes).tag("prod")).await?;
//!
//! match client.get("oauth", "billing").await? {
//!     Lookup::Hit(credential) => println!("good for {:?}", credential.remaining()),
//!     Lookup::Miss(miss) => println!("none: {:?}", miss.reason),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/quickstart.rs` is the same against a server that runs.
//!
//! Most services need one call, which leaves all of this to the crate: one
//! caller of the whole mesh fetches, the others wait for what it brings, and the
//! next credential is fetched before this one ends.
//!
//! ```no_run
//! # use std::{io, time::Duration};
//! # use credcache_client::{Client, FetchError, Fetched, Lifetime, NearCache, Secret};
//! # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
//! async fn issue() -> Result<Fetched, FetchError<io::Error>> {
//!     let token = Secret::new("what the identity provider answers");
//!     Ok(Fetched::new(token, Lifetime::Ttl(Duration::from_secs(900))).tag("prod"))
//! }
//!
//! let credential = client.get_or_fetch("oauth", "billing", issue).await?;
//!
//! // The same without a call for each hit: what is kept in the process is given
//! // up as soon as the server revokes it, or falls silent.
//! let near = NearCache::builder(client).namespace("oauth").build();
//! let credential = near.get_or_fetch("oauth", "billing", issue).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::get_or_fetch`] says who fetches, who waits, and what an outage of
//! the cache comes to: none of its callers'. [`NearCache`] says what may be used
//! without asking. [`Client::lookup`], [`Client::abandon_lease`] and
//! [`Client::watch`] are what both are made of. `examples/get_or_fetch.rs` shows
//! them at work.
//!
//! What holds for every call:
//! - A miss is a value; an [`Error`] means that there is no answer.
//! - A credential is live at the instant at which it is returned, however long
//!   its answer, or the Put of what was fetched, was under way. What ended
//!   meanwhile is asked for or fetched again, a few times at most; in the end it
//!   is a miss, or an error that says so.
//! - A lifetime is never lengthened: [`Credential::remaining`] counts from
//!   before the request was sent, on a clock that goes on during suspend, and
//!   every attempt of a Put asks for what is left. As soon as the server has
//!   answered once, its clock is known, and a relative lifetime is sent as an
//!   end: it doesn't grow on the way. [`Lifetime::Ttl`] says what is left to say.
//! - A call ends at its timeout, which the server is told. Until then, and only
//!   while the server is unavailable or can't be reached, it is retried, with
//!   exponential pauses and full jitter. A Put without a lease, and a batch of them, is
//!   retried only if the server certainly hasn't carried it out; the other calls also
//!   after a connection broke.
//! - A value is a [`Secret`]: not printed, not serialized, zeroed when dropped.
//!
//! The feature `testing` adds the module `testing`: credentials made by hand, and
//! a server in the test's own process.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod batch;
mod builder;
mod client;
mod clock;
mod connections;
mod environment;
mod error;
mod fetch;
mod health;
mod invalidate;
mod judged;
mod lease;
mod lookup;
mod metrics;
mod near;
pub mod proto;
mod put;
mod retry;
mod secret;
mod server_clock;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod watch;
mod wire;

pub use address::{Address, AddressError};
pub use builder::Builder;
pub use client::Client;
pub use error::{Error, FieldViolation, Refusal};
pub use fetch::{FetchError, FetchFailure, FetchOptions, Fetched, GetOrFetchError, OnOutage};
pub use health::Health;
pub use invalidate::{InvalidateOptions, Invalidated, Target};
pub use lease::{Answer, Lease, LeaseToken};
pub use lookup::{Credential, GetOptions, Lookup, Miss, MissReason};
pub use metrics::{Measured, Metrics};
pub use near::{NearBuilder, NearCache, NearStats};
pub use put::{Lifetime, Put, Stored};
pub use secret::Secret;
pub use stats::{Leases, Misses, ServerInfo, Stats, Tier};
pub use tonic::Code;
pub use watch::{Event, Watch};

/// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
