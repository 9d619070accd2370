//! What a Get asks and what it answers.
//!
//! Guarantees that a credential's lifetime isn't lengthened on the way: it is
//! counted from before the request was sent.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use crate::{Error, Secret, Stored, clock::BootInstant, proto, wire};

/// What is good enough for a Get, and what to do if there is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct GetOptions {
    pub(crate) min_ttl: Option<Duration>,
    pub(crate) acquire_lease: bool,
    pub(crate) wait: Option<Duration>,
    pub(crate) lease_ttl: Option<Duration>,
}

impl GetOptions {
    /// The least lifetime that must be left; a credential with less is a miss.
    #[must_use]
    pub fn min_ttl(mut self, min_ttl: Duration) -> Self {
        self.min_ttl = Some(min_ttl);
        self
    }

    /// Whether to ask for the key's lease, on a miss or on a hit that is due to
    /// be fetched anew. Counts in [`Client::lookup`](crate::Client::lookup)
    /// alone: the other calls have nobody to give a lease to.
    #[must_use]
    pub fn acquire_lease(mut self, acquire_lease: bool) -> Self {
        self.acquire_lease = acquire_lease;
        self
    }

    /// How long to wait for somebody else's fetch instead of missing at once.
    /// The server counts 5 minutes at most. It comes on top of the client's
    /// timeout.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// How long the lease that is asked for is to last, 1 second to 5 minutes;
    /// the server's `leases.ttl` unless set. One who extends it does best with 3
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
    /// There is none, or none that is good enough.
    Miss(Miss),
}

impl<C> Lookup<C> {
    /// The credential of a hit.
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

/// A credential that was live when it was returned.
///
/// `Debug` doesn't print the value, and of the attributes and tags only how many.
#[derive(Clone)]
#[non_exhaustive]
pub struct Credential {
    /// The secret itself.
    pub value: Secret,
    /// When it ends, by the server's wall clock. Use
    /// [`remaining`](Self::remaining) where this machine's clock may be off.
    pub expires_at: SystemTime,
    /// When somebody should fetch the next one, by the server's wall clock.
    pub refresh_at: SystemTime,
    /// The revision of the Put that stored it; comparable only under one
    /// instance of the server. 0 if it was fetched here and not stored.
    pub version: u64,
    /// The tier that holds it; empty if it was fetched here and not stored.
    pub tier: String,
    /// What the Put attached.
    pub attributes: BTreeMap<String, String>,
    /// The tags of the Put, each once, in the order of their bytes. Whoever changes a
    /// credential and puts it again has to put its tags again.
    pub tags: Vec<String>,
    // No later than the server's own deadline: `sent` plus the answered ttl,
    // where `sent` is before the instant that ttl was measured at.
    pub(crate) deadline: BootInstant,
}

impl Credential {
    /// How much lifetime is left now; zero once it has ended.
    ///
    /// Independent of either machine's wall clock, and never more than the
    /// server would say: the time the network took counts as passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.since(BootInstant::now())
    }

    /// One that ends at `deadline`, with nothing more than a value.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn until(value: Secret, deadline: BootInstant) -> Self {
        // Read in this order: what passes in between shortens the lifetime.
        let boot = BootInstant::now();
        let wall = crate::clock::wall_now();
        let expires_at = wall.checked_add(deadline.since(boot)).unwrap_or(wall);
        Self {
            value,
            expires_at,
            refresh_at: expires_at,
            version: 0,
            tier: String::new(),
            attributes: BTreeMap::new(),
            tags: Vec::new(),
            deadline,
        }
    }

    /// From when on somebody should fetch the next one, whatever this machine's
    /// wall clock says.
    pub(crate) fn due(&self) -> BootInstant {
        let ahead = self.expires_at.duration_since(self.refresh_at);
        self.deadline.before(ahead.unwrap_or_default())
    }

    /// Takes over what the server said when it was stored. If it was cut to its
    /// tier, less remains of it.
    pub(crate) fn was_stored(&mut self, stored: Stored, stated_end: Option<SystemTime>) {
        let cut = stated_end.and_then(|end| end.duration_since(stored.expires_at).ok());
        self.deadline = self.deadline.before(cut.unwrap_or_default());
        let ahead = self.expires_at.duration_since(self.refresh_at);
        let refresh_at = stored.expires_at.checked_sub(ahead.unwrap_or_default());
        self.refresh_at = refresh_at.unwrap_or(stored.expires_at);
        self.expires_at = stored.expires_at;
        self.version = stored.version;
        self.tier = stored.tier;
    }

    pub(crate) fn parse(credential: proto::Credential, sent: BootInstant) -> Result<Self, Error> {
        let ttl = wire::parse_span(credential.ttl, "ttl")?;
        if ttl.is_zero() {
            return Err(Error::Malformed("ttl is zero"));
        }
        Ok(Self {
            value: Secret::received(credential.value),
            expires_at: wire::parse_time(credential.expires_at, "expires_at")?,
            refresh_at: wire::parse_time(credential.refresh_at, "refresh_at")?,
            version: credential.version,
            tier: credential.tier,
            attributes: credential.attributes.into_iter().collect(),
            tags: credential.tags,
            deadline: sent.after(ttl),
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("value", &self.value)
            .field("expires_at", &self.expires_at)
            .field("refresh_at", &self.refresh_at)
            .field("version", &self.version)
            .field("tier", &self.tier)
            .field("attributes", &self.attributes.len())
            .field("tags", &self.tags.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Miss {
    /// The reason, as far as the server remembers it.
    pub reason: MissReason,
    /// When to ask again: if somebody is fetching it, and while nobody may
    /// because the issuer is failing.
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
    /// Nothing is stored, or why it went is no longer remembered.
    NotFound,
    /// Its lifetime has ended.
    Expired,
    /// It was invalidated.
    Revoked,
    /// It is live, but for less than was asked.
    TtlTooShort,
    /// Somebody is fetching it right now.
    Pending,
    /// It is live, but the answer to a batch had no room for it. The batches of
    /// this crate ask for it again, so they don't answer it.
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
