//! Client for credcache, the cache for the short-lived credentials of a service mesh:
//! one service asks the identity provider, and the others read the answer from memory.
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
//!     Lookup::Hit(credential) => println!("valid for {:?}", credential.remaining()),
//!     Lookup::Miss(miss) => println!("miss: {:?}", miss.reason),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/quickstart.rs` does the same against a running server.
//!
//! Most services need a single call, which does all of this: one caller in the whole
//! mesh fetches, the others wait for its credential, and the next credential is fetched
//! before this one expires.
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
//! // The same with a client-side cache: a hit costs no call. A cached credential is no
//! // longer used once the server revokes it, or falls silent.
//! let near = NearCache::builder(client).namespace("oauth").build();
//! let credential = near.get_or_fetch("oauth", "billing", issue).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`] makes the calls. [`Client::get_or_fetch`] says who fetches, who waits, and
//!   what an outage of the cache means for its callers.
//! - [`NearCache`] is the client-side cache, and says when a cached credential may be used.
//! - [`Client::lookup`], [`Client::extend_lease`], [`Client::abandon_lease`] and
//!   [`Client::watch`] are the parts that both are made of.
//! - [`Error`] and [`GetOrFetchError`] are the errors. The README has a table of what is
//!   retried.
//!
//! These rules hold for every call:
//!
//! - A miss is a value. An [`Error`] means that there is no answer.
//! - A credential is live at the instant at which it is returned, however long its answer,
//!   or the Put of a fetched credential, was under way. A credential that expired meanwhile
//!   is requested or fetched again, a few times at most; in the end the result is a miss, or
//!   an error that says so.
//! - A lifetime is never lengthened. [`Credential::remaining`] counts from before the request
//!   was sent, on a clock that keeps counting during suspend, and every attempt of a Put asks
//!   for what is left. Once the server has answered, its clock is known, and a relative
//!   lifetime is sent as an end, which doesn't grow on the way: see [`Lifetime::Ttl`].
//! - A call ends at its timeout, which is sent to the server. Until then, and only while the
//!   server is unavailable or can't be reached, the call is retried, with exponential backoff
//!   and full jitter. A Put without a lease, and a batch of Puts, is retried only if the
//!   server certainly hasn't executed it; the other calls also after a broken connection.
//! - A value is a [`Secret`]: not printed, not serialized, zeroed when dropped.
//!
//! # Features
//!
//! - `testing` (off by default) adds the module `testing`: a server in the test's own process,
//!   and credentials made by hand.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod client;
mod clock;
mod credential;
mod error;
mod fetch;
mod invalidate;
mod judged;
mod lease;
mod lookup;
mod metrics;
mod name;
mod near;
pub mod proto;
mod put;
mod retry;
mod secret;
mod server_clock;
#[cfg(feature = "testing")]
pub mod testing;
mod watch;
mod wire;

pub use address::{Address, AddressError};
pub use client::{
    Client,
    builder::ClientBuilder,
    health::Health,
    stats::{LeaseStats, MissCounts, ServerInfo, Stats, TierStats},
};
pub use credential::Credential;
pub use error::{Error, FieldViolation, Refusal};
pub use fetch::{FetchError, FetchFailure, FetchOptions, Fetched, GetOrFetchError, OnOutage};
pub use invalidate::{InvalidateOptions, Invalidated, Target};
pub use lease::{Lease, LeaseToken};
pub use lookup::{GetOptions, Lookup, LookupResponse, Miss, MissReason};
pub use metrics::{MetricEvent, Metrics};
pub use near::{NearCache, NearCacheBuilder, NearCacheStats};
pub use put::{Lifetime, Put, Stored};
pub use secret::Secret;
pub use tonic::Code;
pub use watch::{Event, Watch};

/// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
