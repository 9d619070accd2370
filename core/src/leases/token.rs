//! A lease as its holder knows it.

use std::{fmt, time::Duration};

/// What proves that a caller holds a lease: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 16]);

/// The right to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What proves it.
    pub token: Token,
    /// For how long from when it was granted.
    pub ttl: Duration,
}

/// The lease that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The token it is to have. Never one that was used before.
    pub token: Token,
    /// How long it is to last; `None` for the cache's own `lease_ttl`.
    pub ttl: Option<Duration>,
}

/// No lease is extended beyond this long after it was granted, and none is
/// filled later.
pub const MAX_LEASE: Duration = Duration::from_secs(600);

impl From<Token> for LeaseRequest {
    fn from(token: Token) -> Self {
        Self { token, ttl: None }
    }
}

impl Token {
    /// These bits, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
