//! Lease tokens and lease requests.

use std::{fmt, time::Duration};

/// Proves that a caller holds a lease: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 16]);

/// The right to fetch the credential of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The proof of the lease, which a fill must present.
    pub token: Token,
    /// How long the lease lasts from its grant.
    pub ttl: Duration,
}

/// A request for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The token that the lease is to have. The caller must never have used it before.
    pub token: Token,
    /// The requested lifetime of the lease; `None` for
    /// [`Limits::lease_ttl`](crate::Limits::lease_ttl).
    pub ttl: Option<Duration>,
}

/// The maximum time from the grant of a lease. A lease can't be extended beyond this time, or
/// filled after it.
pub const MAX_LEASE: Duration = Duration::from_secs(600);

impl From<Token> for LeaseRequest {
    fn from(token: Token) -> Self {
        Self { token, ttl: None }
    }
}

impl Token {
    /// A token of these bits, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bits of the token.
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
