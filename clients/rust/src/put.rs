//! What a Put stores, and what it answers.

pub(crate) mod sending;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use crate::{Error, Lease, LeaseToken, Secret, clock::BootInstant, proto, wire};

/// A credential to store, under a key of a namespace.
///
/// `Debug` prints neither key nor value, and of tags and attributes only how
/// many.
#[derive(Clone)]
pub struct Put {
    namespace: String,
    key: String,
    pub(crate) value: Secret,
    pub(crate) lifetime: Lifetime,
    pub(crate) issued_at: Option<SystemTime>,
    pub(crate) refresh_before: Option<Duration>,
    tags: Vec<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    tier: String,
    lease: Option<LeaseToken>,
    precondition: Option<Precondition>,
    single_use: bool,
    /// Of a relative lifetime that began before the Put was made.
    deadline: Option<BootInstant>,
}

/// How long a credential lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Relative to the call of `put`. The client knows the server's wall clock
    /// from what the server answered within the last minute (a hit, or an
    /// earlier Put), and states the end by that clock: however long the Put is
    /// under way, the lifetime doesn't grow.
    ///
    /// Two gaps are left. A client that has had no such answer sends what is
    /// left of the lifetime, which the server counts from the instant at which
    /// it reads the request: the time of that attempt's way comes on top, and is
    /// no longer than the client's timeout unless the network holds the request
    /// back beyond that. If the answer shows that it may have been more than 100
    /// milliseconds, the Put is put right at once, under a new version. And a
    /// server whose clock is set back within that minute keeps the credential
    /// for longer by as much. [`ExpiresAt`](Self::ExpiresAt) has the second gap
    /// alone.
    Ttl(Duration),
    /// Absolute, against the server's wall clock: the better choice whenever
    /// the issuer states it.
    ExpiresAt(SystemTime),
}

#[derive(Clone, Copy, Debug)]
enum Precondition {
    Absent,
    Version(u64),
}

impl Put {
    /// A credential with no more than it needs.
    pub fn new(
        namespace: impl Into<String>,
        key: impl Into<String>,
        value: Secret,
        lifetime: Lifetime,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            key: key.into(),
            value,
            lifetime,
            issued_at: None,
            refresh_before: None,
            tags: Vec::new(),
            attributes: BTreeMap::new(),
            tier: String::new(),
            lease: None,
            precondition: None,
            single_use: false,
            deadline: None,
        }
    }

    /// When the issuer issued it, so that the server can refuse it if it was
    /// revoked since.
    #[must_use]
    pub fn issued_at(mut self, issued_at: SystemTime) -> Self {
        self.issued_at = Some(issued_at);
        self
    }

    /// How long before its end it should be fetched anew. By default the server
    /// decides, by the lifetime.
    #[must_use]
    pub fn refresh_before(mut self, refresh_before: Duration) -> Self {
        self.refresh_before = Some(refresh_before);
        self
    }

    /// Adds a tag, by which it can be invalidated.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds a pair of text that is kept beside the value.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// The tier to use, instead of the smallest that covers the lifetime.
    #[must_use]
    pub fn tier(mut self, tier: impl Into<String>) -> Self {
        self.tier = tier.into();
        self
    }

    /// The lease under which it was fetched. Stored only while that is the key's
    /// current one, else `Aborted` with the reason `LEASE_LOST`, and only if
    /// nothing that matches it was revoked since the lease was granted, else
    /// `Aborted` with the reason `REVOKED`: don't use what was fetched.
    #[must_use]
    pub fn lease(mut self, lease: &Lease) -> Self {
        self.lease = Some(lease.token.clone());
        self
    }

    /// Store only if the key isn't live, else `AlreadyExists`. Takes the place
    /// of [`if_version`](Self::if_version).
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.precondition = Some(Precondition::Absent);
        self
    }

    /// Store only in place of this live version, else `Aborted`. Takes the
    /// place of [`if_absent`](Self::if_absent).
    #[must_use]
    pub fn if_version(mut self, version: u64) -> Self {
        self.precondition = Some(Precondition::Version(version));
        self
    }

    /// Marks a credential that may be used once only. The server refuses it:
    /// such a credential must never be cached.
    #[must_use]
    pub fn single_use(mut self) -> Self {
        self.single_use = true;
        self
    }

    /// The same under another name; a relative lifetime ends at `deadline`.
    pub(crate) fn with_place(mut self, namespace: &str, key: &str, deadline: BootInstant) -> Self {
        namespace.clone_into(&mut self.namespace);
        key.clone_into(&mut self.key);
        self.deadline = Some(deadline);
        self
    }

    pub(crate) fn into_request(self) -> proto::PutRequest {
        use proto::put_request::{Lifetime as Wire, Precondition as Condition};
        proto::PutRequest {
            namespace: self.namespace,
            key: self.key,
            value: self.value.into_bytes(),
            lifetime: Some(match self.lifetime {
                Lifetime::Ttl(ttl) => Wire::Ttl(wire::span(ttl)),
                Lifetime::ExpiresAt(at) => Wire::ExpiresAt(at.into()),
            }),
            issued_at: self.issued_at.map(Into::into),
            refresh_before: self.refresh_before.map(wire::span),
            tags: self.tags,
            attributes: self.attributes.into_iter().collect(),
            tier: self.tier,
            precondition: self.precondition.map(|precondition| match precondition {
                Precondition::Absent => Condition::IfAbsent(true),
                Precondition::Version(version) => Condition::IfVersion(version),
            }),
            single_use: self.single_use,
            lease_token: self.lease.map(LeaseToken::into_bytes).unwrap_or_default(),
        }
    }

    /// The tags as the server keeps them.
    pub(crate) fn tags_each_once(&self) -> Vec<String> {
        let mut tags = self.tags.clone();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// When a relative lifetime ends, for a Put that was called at `called`.
    pub(crate) fn ends(&self, called: BootInstant) -> Option<BootInstant> {
        match self.lifetime {
            Lifetime::Ttl(ttl) => Some(self.deadline.unwrap_or_else(|| called.after(ttl))),
            Lifetime::ExpiresAt(_) => None,
        }
    }
}

impl fmt::Debug for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put")
            .field("namespace", &self.namespace)
            .field("value", &self.value)
            .field("lifetime", &self.lifetime)
            .field("issued_at", &self.issued_at)
            .field("refresh_before", &self.refresh_before)
            .field("tags", &self.tags.len())
            .field("attributes", &self.attributes.len())
            .field("tier", &self.tier)
            .field("lease", &self.lease)
            .field("precondition", &self.precondition)
            .field("single_use", &self.single_use)
            .finish_non_exhaustive()
    }
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The credential's version: the revision of this Put.
    pub version: u64,
    /// The tier it went to.
    pub tier: String,
    /// When it ends. Earlier than asked for if the tier is shorter.
    pub expires_at: SystemTime,
}

impl Stored {
    pub(crate) fn parse(response: proto::PutResponse) -> Result<Self, Error> {
        Ok(Self {
            version: response.version,
            tier: response.tier,
            expires_at: wire::parse_time(response.expires_at, "expires_at")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proto::put_request::{Lifetime as Wire, Precondition as Condition};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn put(lifetime: Lifetime) -> Put {
        Put::new("aws", "role/reader", Secret::new("token"), lifetime)
    }

    #[test]
    fn debug_shows_neither_key_nor_value_nor_attributes() {
        let put = put(Lifetime::Ttl(HOUR))
            .tag("team-a")
            .attribute("region", "eu-west-1");
        let debug = format!("{put:?}");
        for hidden in ["reader", "token", "team-a", "region", "eu-west-1"] {
            assert!(!debug.contains(hidden), "{debug}");
        }
        assert!(debug.contains("attributes: 1"), "{debug}");
    }

    #[test]
    fn every_part_of_a_put_reaches_the_wire() {
        let at = SystemTime::UNIX_EPOCH + HOUR;
        let request = put(Lifetime::Ttl(HOUR))
            .issued_at(at)
            .refresh_before(HOUR / 2)
            .tag("team-a")
            .tag("prod")
            .attribute("region", "eu-west-1")
            .tier("1-hour")
            .if_absent()
            .if_version(9)
            .single_use()
            .into_request();
        assert_eq!(
            (&request.namespace[..], &request.key[..]),
            ("aws", "role/reader")
        );
        assert_eq!(&request.value[..], b"token");
        assert!(request.lifetime == Some(Wire::Ttl(wire::span(HOUR))));
        assert_eq!(request.issued_at, Some(at.into()));
        assert_eq!(request.refresh_before, Some(wire::span(HOUR / 2)));
        assert_eq!(request.tags, ["team-a", "prod"]);
        assert_eq!(request.attributes["region"], "eu-west-1");
        assert_eq!(request.tier, "1-hour");
        assert!(request.precondition == Some(Condition::IfVersion(9)));
        assert!(request.single_use);
    }

    #[test]
    fn answer_without_an_end_is_malformed() {
        let response = proto::PutResponse {
            version: 1,
            tier: "1-hour".into(),
            expires_at: None,
        };
        assert!(matches!(
            Stored::parse(response),
            Err(Error::Malformed("expires_at"))
        ));
    }
}
