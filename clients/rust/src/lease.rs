//! A lease: the right to fetch a key's credential for the whole mesh.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Error, proto, wire};

/// The right, and the duty, to fetch a key's credential for the whole mesh. While a
/// caller holds the lease, the server grants it to no other.
///
/// A [`Put`](crate::Put) fills the lease,
/// [`abandon_lease`](crate::Client::abandon_lease) gives it back, and
/// [`extend_lease`](crate::Client::extend_lease) makes it last while the fetch takes
/// longer. A lease that is merely dropped runs out, and the callers who wait for the
/// credential wait until then. [`Client::lookup`](crate::Client::lookup) has an
/// example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The proof of the lease.
    pub token: LeaseToken,
    /// How long the lease lasts. After that, another caller may be granted it.
    pub ttl: Duration,
}

impl Lease {
    /// Makes a lease that was granted to another process, such as the script that this
    /// process works for. `ttl` is for the caller's own use.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use credcache_client::{Lease, LeaseToken};
    ///
    /// let token = LeaseToken::new(vec![7; 16]);
    /// let lease = Lease::new(token, Duration::from_secs(3));
    /// assert_eq!(lease.token.expose(), [7; 16]);
    /// ```
    pub fn new(token: LeaseToken, ttl: Duration) -> Self {
        Self { token, ttl }
    }

    pub(crate) fn parse(lease: proto::Lease) -> Result<Self, Error> {
        if lease.token.is_empty() {
            return Err(Error::Malformed("lease without a token"));
        }
        Ok(Self {
            // The message's would keep the message, and the value in it.
            token: LeaseToken(Bytes::copy_from_slice(&lease.token)),
            ttl: wire::parse_span(lease.ttl, "lease ttl")?,
        })
    }
}

/// The token of a lease. A process that knows the token can fill the key, so `Debug`
/// prints a placeholder.
#[derive(Clone, PartialEq, Eq)]
pub struct LeaseToken(Bytes);

impl LeaseToken {
    /// Makes a token of the bytes that [`expose`](Self::expose) returned.
    pub fn new(token: impl Into<Bytes>) -> Self {
        Self(token.into())
    }

    /// Returns the bytes of the token.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LookupResponse, clock::BootInstant, judged::Unjudged};
    use proto::get_response::Outcome;

    fn answer(lease: Option<proto::Lease>) -> Result<LookupResponse<Unjudged>, Error> {
        let response = proto::GetResponse {
            outcome: Some(Outcome::Miss(proto::Miss::default())),
            lease,
        };
        LookupResponse::parse(response, BootInstant::now())
    }

    #[test]
    fn lease_is_handed_on_and_its_token_not_shown() {
        let ttl = Duration::from_secs(10);
        let granted = answer(Some(proto::Lease {
            token: "0123456789abcdef".into(),
            ttl: Some(wire::span(ttl)),
        }));
        let lease = granted.unwrap().lease.unwrap();
        assert_eq!(lease.token.expose(), b"0123456789abcdef");
        assert_eq!(lease.ttl, ttl);
        assert_eq!(
            format!("{lease:?}"),
            "Lease { token: LeaseToken(..), ttl: 10s }"
        );
        assert!(answer(None).unwrap().lease.is_none());
    }

    #[test]
    fn lease_can_be_handed_to_another_process() {
        let token = LeaseToken::new(b"0123456789abcdef".to_vec());
        let handed_on = Lease::new(LeaseToken::new(token.expose().to_vec()), Duration::ZERO);
        assert_eq!(handed_on.token, token);
    }

    #[test]
    fn lease_that_nobody_could_use_is_malformed() {
        for (token, ttl) in [("", Some(wire::span(Duration::ZERO))), ("0123", None)] {
            let lease = proto::Lease {
                token: token.into(),
                ttl,
            };
            assert!(matches!(answer(Some(lease)), Err(Error::Malformed(_))));
        }
    }
}
