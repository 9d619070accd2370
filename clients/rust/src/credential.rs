//! A credential as the cache returns it.
//!
//! Guarantees that its lifetime isn't lengthened on the way: the lifetime is
//! counted from before the request was sent.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    Error, Secret,
    clock::BootInstant,
    proto,
    put::{Put, Stored, each_once},
    wire,
};

/// What a tag of a [`Credential`] takes beside its text.
pub(crate) const TAG_OVERHEAD: usize = size_of::<String>();

/// A credential that was live when it was returned.
///
/// ```no_run
/// use std::time::Duration;
///
/// use credcache_client::Credential;
///
/// # fn example(credential: Credential) {
/// if credential.remaining() > Duration::from_secs(30) {
///     let token = credential.value.as_str();
///     let region = credential.attributes.get("region");
/// }
/// # }
/// ```
///
/// `Debug` prints no value, and of the attributes and tags only how many there are.
#[derive(Clone)]
#[non_exhaustive]
pub struct Credential {
    /// The secret itself.
    pub value: Secret,
    /// When the credential expires, by the server's wall clock. Use
    /// [`remaining`](Self::remaining) where this machine's clock may be off.
    pub expires_at: SystemTime,
    /// When the credential is due for refresh, by the server's wall clock.
    pub refresh_at: SystemTime,
    /// The revision of the Put that stored the credential; comparable only within one
    /// instance of the server. 0 if the credential was fetched here and not stored.
    pub version: u64,
    /// The tier that holds the credential; empty if it was fetched here and not stored.
    pub tier: String,
    /// The attributes that the Put attached.
    pub attributes: BTreeMap<String, String>,
    /// The tags that the Put attached, each once, in the order of their bytes. A caller
    /// that changes a credential and puts it again must put its tags again.
    pub tags: Vec<String>,
    // No later than the server's own deadline: the answered ttl, counted from an
    // instant before the request was sent.
    pub(crate) deadline: BootInstant,
}

impl Credential {
    /// Returns how much lifetime is left now; zero once the credential has expired.
    ///
    /// The result is independent of either machine's wall clock, and never more than
    /// the server would say: the time that the network took counts as passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.since(BootInstant::now())
    }

    /// Returns how many bytes value, attributes and tags take.
    pub(crate) fn size(&self) -> usize {
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, text)| name.len() + text.len());
        let tags = self.tags.iter().map(|tag| tag.len() + TAG_OVERHEAD);
        self.value.expose().len() + attributes.sum::<usize>() + tags.sum::<usize>()
    }

    /// The credential that `put` would store, for a caller that cannot ask the server
    /// for it.
    pub(crate) fn unstored(put: &Put, expires_at: SystemTime, deadline: BootInstant) -> Self {
        Self {
            value: put.value.clone(),
            expires_at,
            refresh_at: expires_at,
            version: 0,
            tier: String::new(),
            attributes: put.attributes.clone(),
            tags: each_once(&put.tags),
            deadline,
        }
    }

    /// A credential that expires at `deadline`, with nothing more than a value.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn until(value: Secret, deadline: BootInstant) -> Self {
        // Read in this order, so that the time in between shortens the lifetime.
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

    /// When the credential is due for refresh, whatever this machine's wall clock
    /// says.
    pub(crate) fn due(&self) -> BootInstant {
        let ahead = self.expires_at.duration_since(self.refresh_at);
        self.deadline.before(ahead.unwrap_or_default())
    }

    /// Takes over what the server answered when it stored the credential. If the
    /// server cut the lifetime to its tier, less remains of it.
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
