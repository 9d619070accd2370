//! The right to fetch a key's credential for everybody, and what comes with it.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Credential, Error, Lookup, clock::BootInstant, judged::Unjudged, proto, wire};

/// What a Get answers to one who asks for the lease too.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer<C = Credential> {
    /// The credential, or why there is none.
    pub lookup: Lookup<C>,
    /// Set if the caller holds the key's lease from now on. Beside a hit it
    /// means that the credential is good, but due to be fetched anew.
    pub lease: Option<Lease>,
}

impl<C> Answer<C> {
    pub(crate) fn map<D>(self, wrap: impl FnOnce(C) -> D) -> Answer<D> {
        Answer {
            lookup: self.lookup.map(wrap),
            lease: self.lease,
        }
    }
}

impl Answer<Unjudged> {
    pub(crate) fn parse(
        mut response: proto::GetResponse,
        sent: BootInstant,
    ) -> Result<Self, Error> {
        let lease = response.lease.take().map(Lease::parse).transpose()?;
        Ok(Self {
            lookup: Lookup::parse(response, sent)?,
            lease,
        })
    }
}

/// The right, and the duty, to fetch a key's credential for everybody: while it
/// is held, nobody else is told to.
///
/// It is used up by a [`Put`](crate::Put) or given back by
/// [`abandon_lease`](crate::Client::abandon_lease), and
/// [`extend_lease`](crate::Client::extend_lease) makes it last while the fetch
/// takes longer. One that is merely dropped runs out, and keeps those who wait
/// for it waiting until then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// What proves it.
    pub token: LeaseToken,
    /// After this long it is somebody else's turn.
    pub ttl: Duration,
}

impl Lease {
    /// A lease that was granted to somebody else, such as the script that this
    /// process works for. `ttl` is for the caller's own use.
    pub fn new(token: LeaseToken, ttl: Duration) -> Self {
        Self { token, ttl }
    }

    fn parse(lease: proto::Lease) -> Result<Self, Error> {
        if lease.token.is_empty() {
            return Err(Error::Malformed("lease without a token"));
        }
        Ok(Self {
            token: LeaseToken(lease.token),
            ttl: wire::parse_span(lease.ttl, "lease ttl")?,
        })
    }
}

/// A lease's token. Whoever has it can fill the key, so `Debug` prints a
/// placeholder.
#[derive(Clone, PartialEq, Eq)]
pub struct LeaseToken(Bytes);

impl LeaseToken {
    /// The token of a lease, as [`expose`](Self::expose) showed it.
    pub fn new(token: impl Into<Bytes>) -> Self {
        Self(token.into())
    }

    /// The token itself.
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
    use proto::get_response::Outcome;

    fn answer(lease: Option<proto::Lease>) -> Result<Answer<Unjudged>, Error> {
        let response = proto::GetResponse {
            outcome: Some(Outcome::Miss(proto::Miss::default())),
            lease,
        };
        Answer::parse(response, BootInstant::now())
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
