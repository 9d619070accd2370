//! The options of a Get, and its answer.

use std::time::Duration;

use crate::{Error, credential::Credential, lease::Lease, proto, wire};

/// Conditions of a Get, and what it does on a miss.
///
/// ```no_run
/// use std::time::Duration;
///
/// use credcache_client::{Client, GetOptions};
///
/// # async fn example(client: Client) -> Result<(), credcache_client::Error> {
/// let options = GetOptions::default()
///     .min_ttl(Duration::from_secs(60))
///     .wait(Duration::from_secs(2));
/// let lookup = client.get_with("oauth", "billing", options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GetOptions {
    pub(crate) min_ttl: Option<Duration>,
    pub(crate) acquire_lease: bool,
    pub(crate) wait: Option<Duration>,
    pub(crate) lease_ttl: Option<Duration>,
}

impl GetOptions {
    /// The least lifetime that must be left. A credential with less is a miss.
    #[must_use]
    pub fn min_ttl(mut self, min_ttl: Duration) -> Self {
        self.min_ttl = Some(min_ttl);
        self
    }

    /// Whether to acquire the key's lease, on a miss or on a hit that is due for
    /// refresh. Only [`Client::lookup`](crate::Client::lookup) regards this option:
    /// the other calls can't return a lease.
    #[must_use]
    pub fn acquire_lease(mut self, acquire_lease: bool) -> Self {
        self.acquire_lease = acquire_lease;
        self
    }

    /// How long to wait for another caller's fetch instead of missing at once, at
    /// most 5 minutes. The wait comes on top of the client's timeout.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// How long the acquired lease lasts, from 1 second to 5 minutes. The default is
    /// the server's `leases.ttl`. A caller that extends its lease should ask for 3
    /// seconds: see [`Client::extend_lease`](crate::Client::extend_lease).
    #[must_use]
    pub fn lease_ttl(mut self, lease_ttl: Duration) -> Self {
        self.lease_ttl = Some(lease_ttl);
        self
    }
}

/// The answer to a Get: a credential, owned or shared, or why there is none.
#[derive(Clone, Debug)]
pub enum Lookup<C = Credential> {
    /// The key's live credential.
    Hit(C),
    /// There is no credential that meets the conditions.
    Miss(Miss),
}

impl<C> Lookup<C> {
    /// Returns the credential of a hit.
    pub fn hit(self) -> Option<C> {
        match self {
            Self::Hit(credential) => Some(credential),
            Self::Miss(_) => None,
        }
    }

    pub(crate) fn map<D>(self, wrap: impl FnOnce(C) -> D) -> Lookup<D> {
        match self {
            Self::Hit(credential) => Lookup::Hit(wrap(credential)),
            Self::Miss(miss) => Lookup::Miss(miss),
        }
    }
}

/// The answer to [`Client::lookup`](crate::Client::lookup): the credential, or why
/// there is none, and the key's lease if it was acquired.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LookupResponse<C = Credential> {
    /// The credential, or why there is none.
    pub lookup: Lookup<C>,
    /// The key's lease, if the caller holds it from now on. Beside a hit the lease
    /// means that the credential is good, but due for refresh.
    pub lease: Option<Lease>,
}

impl<C> LookupResponse<C> {
    pub(crate) fn map<D>(self, wrap: impl FnOnce(C) -> D) -> LookupResponse<D> {
        LookupResponse {
            lookup: self.lookup.map(wrap),
            lease: self.lease,
        }
    }
}

/// Why there is no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Miss {
    /// The reason, as far as the server remembers it.
    pub reason: MissReason,
    /// When to ask again. Set while another caller is fetching, and during a
    /// cool-down.
    pub retry_after: Option<Duration>,
}

impl Miss {
    pub(crate) fn parse(miss: proto::Miss) -> Result<Self, Error> {
        let retry_after = miss
            .retry_after
            .map(|span| wire::parse_span(Some(span), "retry_after"));
        Ok(Self {
            reason: miss.reason().into(),
            retry_after: retry_after.transpose()?,
        })
    }
}

/// Why a Get missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissReason {
    /// Nothing is stored, or the reason is no longer remembered.
    NotFound,
    /// The credential has expired.
    Expired,
    /// The credential was invalidated.
    Revoked,
    /// The credential is live, but for less than was asked.
    TtlTooShort,
    /// Another caller is fetching.
    Pending,
    /// The credential is live, but the response to a batch had no room for it. The
    /// batches of this crate ask for it again, so they don't return this reason.
    NoRoom,
    /// A reason that this version of the crate doesn't know.
    Other,
}

impl From<proto::MissReason> for MissReason {
    fn from(reason: proto::MissReason) -> Self {
        match reason {
            proto::MissReason::NotFound => Self::NotFound,
            proto::MissReason::Expired => Self::Expired,
            proto::MissReason::Revoked => Self::Revoked,
            proto::MissReason::TtlTooShort => Self::TtlTooShort,
            proto::MissReason::Pending => Self::Pending,
            proto::MissReason::NoRoom => Self::NoRoom,
            proto::MissReason::Unspecified => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::get_response::Outcome;

    use super::*;
    use crate::clock::BootInstant;

    const MINUTE: Duration = Duration::from_secs(60);

    fn answer(ttl: Option<prost_types::Duration>) -> proto::GetResponse {
        let at = Some(prost_types::Timestamp {
            seconds: 1_900_000_000,
            nanos: 0,
        });
        let credential = proto::Credential {
            value: "token".into(),
            expires_at: at,
            ttl,
            refresh_at: at,
            version: 7,
            tier: "1-hour".into(),
            attributes: [("region".into(), "eu-west-1".into())].into(),
            tags: vec!["team-a".into()],
        };
        proto::GetResponse {
            outcome: Some(Outcome::Credential(credential)),
            lease: None,
        }
    }

    #[test]
    fn lifetime_counts_from_before_the_request_was_sent() {
        let received = BootInstant::now();
        let lookup = Lookup::parse(answer(Some(wire::span(MINUTE))), received).unwrap();
        let credential = lookup.judge(Duration::ZERO).hit().unwrap();
        assert_eq!(credential.deadline, received.after(MINUTE));
        assert!(credential.remaining() <= MINUTE);
        assert!(!credential.remaining().is_zero());
        assert_eq!(credential.value.expose(), b"token");
        assert_eq!(credential.attributes["region"], "eu-west-1");
        assert_eq!(credential.tags, ["team-a"]);
    }

    #[test]
    fn nothing_remains_of_an_ended_lifetime() {
        let short = wire::span(Duration::from_nanos(1));
        let credential = Lookup::parse(answer(Some(short)), BootInstant::now())
            .unwrap()
            .hit()
            .unwrap();
        let credential = credential.seen();
        while BootInstant::now() <= credential.deadline {}
        assert_eq!(credential.remaining(), Duration::ZERO);
    }

    #[test]
    fn debug_of_a_hit_shows_neither_value_nor_attributes() {
        let lookup = Lookup::parse(answer(Some(wire::span(MINUTE))), BootInstant::now()).unwrap();
        let debug = format!("{:?}", lookup.judge(Duration::ZERO));
        for hidden in ["token", "116, 111", "region", "eu-west-1", "team-a"] {
            assert!(!debug.contains(hidden), "{debug}");
        }
        assert!(debug.contains("attributes: 1, tags: 1"), "{debug}");
    }

    #[test]
    fn answer_that_breaks_the_contract_is_malformed() {
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        for ttl in [None, Some(negative), Some(wire::span(Duration::ZERO))] {
            let parsed = Lookup::parse(answer(ttl), BootInstant::now());
            assert!(matches!(parsed, Err(Error::Malformed(_))));
        }
        let empty = proto::GetResponse {
            outcome: None,
            lease: None,
        };
        assert!(matches!(
            Lookup::parse(empty, BootInstant::now()),
            Err(Error::Malformed(_))
        ));
    }

    #[test]
    fn unknown_reason_is_still_a_miss() {
        for (reason, expected) in [
            (4, MissReason::TtlTooShort),
            (0, MissReason::Other),
            (99, MissReason::Other),
        ] {
            let miss = proto::Miss {
                reason,
                retry_after: Some(wire::span(MINUTE)),
            };
            let miss = Miss::parse(miss).unwrap();
            assert_eq!((miss.reason, miss.retry_after), (expected, Some(MINUTE)));
        }
    }
}
