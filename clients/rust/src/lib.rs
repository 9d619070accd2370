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
//! What holds for every call:
//! - A miss is a value; an [`Error`] means that there is no answer.
//! - A lifetime is never lengthened: [`Credential::remaining`] counts from
//!   before the request was sent, on a clock that goes on during suspend, and
//!   every attempt of a Put asks for what is left. One thing this crate can't
//!   take off a [`Lifetime::Ttl`]: what the last attempt needs to connect and to
//!   cross the network. [`Lifetime::ExpiresAt`] has no such gap.
//! - A call ends at its timeout, which the server is told. Until then, and only
//!   while the server is unavailable or can't be reached, it is retried, with
//!   exponential pauses and full jitter. A Put, and a batch of them, is retried only if the
//!   server certainly hasn't carried it out; the other calls also after a connection
//!   broke.
//! - A value is a [`Secret`]: not printed, not serialized, zeroed when dropped.

mod address;
mod batch;
mod builder;
mod client;
mod clock;
mod connections;
mod error;
mod health;
mod invalidate;
mod lease;
mod lookup;
pub mod proto;
mod put;
mod retry;
mod secret;
mod stats;
mod watch;
mod wire;

pub use address::{Address, AddressError};
pub use builder::Builder;
pub use client::Client;
pub use error::{Error, FieldViolation, Refusal};
pub use health::Health;
pub use invalidate::{InvalidateOptions, Invalidated, Target};
pub use lease::{Answer, Lease, LeaseToken};
pub use lookup::{Credential, GetOptions, Lookup, Miss, MissReason};
pub use put::{Lifetime, Put, Stored};
pub use secret::Secret;
pub use stats::{Leases, Misses, ServerInfo, Stats, Tier};
pub use tonic::Code;
pub use watch::{Event, Watch};
