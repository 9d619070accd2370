//! The result of a fetch, and the credential that it becomes.
//!
//! Guarantees that a relative lifetime counts from before the fetch began.

use std::time::{Duration, SystemTime};

use crate::{
    Secret,
    clock::{self, BootInstant},
    credential::Credential,
    judged::Unjudged,
    put::{Lifetime, Put},
};

/// A credential as the issuer gave it, for
/// [`get_or_fetch`](crate::Client::get_or_fetch) to store and to return.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use credcache_client::{Fetched, Lifetime, Secret};
///
/// let end = SystemTime::now() + Duration::from_secs(3600);
/// let fetched = Fetched::new(Secret::new("a token"), Lifetime::ExpiresAt(end))
///     .attribute("region", "eu-west-1")
///     .tag("prod");
/// ```
///
/// `Debug` doesn't print the value.
#[derive(Clone, Debug)]
pub struct Fetched(Put);

impl Fetched {
    /// Makes a credential with no more than it needs.
    ///
    /// A [`Lifetime::Ttl`] counts from before the fetch began, because the instant of
    /// the issuer's answer isn't known. Where the issuer states an end, use
    /// [`Lifetime::ExpiresAt`].
    pub fn new(value: Secret, lifetime: Lifetime) -> Self {
        Self(Put::new("", "", value, lifetime))
    }

    /// When the issuer issued the credential, so that the server can refuse it if it
    /// was revoked since.
    #[must_use]
    pub fn issued_at(self, issued_at: SystemTime) -> Self {
        Self(self.0.issued_at(issued_at))
    }

    /// How long before its end the credential is due for refresh. By default the
    /// server decides by the lifetime.
    #[must_use]
    pub fn refresh_before(self, refresh_before: Duration) -> Self {
        Self(self.0.refresh_before(refresh_before))
    }

    /// Adds a tag, by which the credential can be invalidated.
    #[must_use]
    pub fn tag(self, tag: impl Into<String>) -> Self {
        Self(self.0.tag(tag))
    }

    /// Adds an attribute: a pair of strings stored beside the value.
    #[must_use]
    pub fn attribute(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self(self.0.attribute(name, value))
    }

    /// The tier to use, instead of the smallest that covers the lifetime.
    #[must_use]
    pub fn tier(self, tier: impl Into<String>) -> Self {
        Self(self.0.tier(tier))
    }

    /// The credential, not stored yet, of a fetch that began at `start`; `None` if it
    /// has expired already.
    pub(super) fn credential(&self, start: BootInstant) -> Option<Unjudged> {
        // Read in this order, so that the time in between shortens the lifetime.
        let boot = BootInstant::now();
        let wall = clock::wall_now();
        let left = match self.0.lifetime {
            Lifetime::Ttl(ttl) => start.after(ttl).since(boot),
            Lifetime::ExpiresAt(at) => at.duration_since(wall).unwrap_or_default(),
        };
        if left.is_zero() {
            return None;
        }
        let expires_at = match self.0.lifetime {
            Lifetime::Ttl(_) => wall.checked_add(left)?,
            Lifetime::ExpiresAt(at) => at,
        };
        let refresh_before = self
            .0
            .refresh_before
            .unwrap_or_else(|| default_refresh_before(left));
        let refresh_at = expires_at.checked_sub(refresh_before.min(left));
        Some(Unjudged::new(Credential {
            refresh_at: refresh_at.unwrap_or(expires_at),
            ..Credential::unstored(&self.0, expires_at, boot.after(left))
        }))
    }

    /// The end of the lifetime, if the issuer stated one.
    pub(super) fn stated_end(&self) -> Option<SystemTime> {
        match self.0.lifetime {
            Lifetime::Ttl(_) => None,
            Lifetime::ExpiresAt(at) => Some(at),
        }
    }

    /// The Put of `credential`, which was made of this.
    pub(super) fn put(self, namespace: &str, key: &str, credential: &Credential) -> Put {
        self.0.with_name(namespace, key, credential.deadline)
    }

    /// Whether the value is empty, so that no caller could use it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.value.expose().is_empty()
    }

    /// The same, issued at `at` unless the fetch stated the time of issue.
    pub(super) fn issued_after(self, at: SystemTime) -> Self {
        match self.0.issued_at {
            Some(_) => self,
            None => self.issued_at(at),
        }
    }
}

/// How long before its end a credential is due for refresh by the server's default
/// rule, without jitter. The server's own rule stands in its core; a test over both
/// compares the two.
pub(crate) fn default_refresh_before(lifetime: Duration) -> Duration {
    const MINUTE: Duration = Duration::from_secs(60);
    let ahead = if lifetime <= 20 * MINUTE {
        5 * MINUTE
    } else if lifetime < 90 * MINUTE {
        15 * MINUTE
    } else {
        60 * MINUTE
    };
    // Short of half by what the server's jitter may add.
    ahead.min((lifetime / 22).saturating_mul(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn fetched(lifetime: Lifetime) -> Fetched {
        Fetched::new(Secret::new("token"), lifetime)
    }

    #[test]
    fn relative_lifetime_counts_from_before_the_fetch() {
        let start = BootInstant::now();
        let fetched = fetched(Lifetime::Ttl(MINUTE));
        let credential = fetched.credential(start).unwrap();
        let credential = credential.seen();
        assert_eq!(credential.deadline, start.after(MINUTE));
        let put = fetched.put("aws", "reader", credential);
        assert_eq!(
            put.lifetime_end(start.after(MINUTE)),
            Some(start.after(MINUTE))
        );
        let ahead = credential.expires_at.duration_since(credential.refresh_at);
        assert!(ahead.unwrap() <= MINUTE / 2);
    }

    #[test]
    fn stated_end_is_kept() {
        let at = clock::wall_now() + MINUTE;
        let fetched = fetched(Lifetime::ExpiresAt(at)).refresh_before(MINUTE / 4);
        let credential = fetched.credential(BootInstant::now()).unwrap();
        let credential = credential.seen();
        assert_eq!(credential.expires_at, at);
        assert_eq!(credential.refresh_at, at - MINUTE / 4);
        assert!(credential.remaining() <= MINUTE);
        let put = fetched.put("aws", "reader", credential);
        assert_eq!(put.lifetime, Lifetime::ExpiresAt(at));
        assert_eq!(put.lifetime_end(BootInstant::now()), None);
    }

    #[test]
    fn what_has_ended_is_no_credential() {
        let over = SystemTime::UNIX_EPOCH + MINUTE;
        for lifetime in [Lifetime::Ttl(Duration::ZERO), Lifetime::ExpiresAt(over)] {
            let ended = fetched(lifetime).credential(BootInstant::now());
            assert!(ended.is_none(), "{lifetime:?}");
        }
    }

    #[test]
    fn fetch_that_knows_when_it_was_issued_is_believed() {
        let known = SystemTime::UNIX_EPOCH;
        let later = known + MINUTE;
        let knowing = fetched(Lifetime::Ttl(MINUTE)).issued_at(known);
        assert_eq!(knowing.issued_after(later).0.issued_at, Some(known));
        let unknowing = fetched(Lifetime::Ttl(MINUTE));
        assert_eq!(unknowing.issued_after(later).0.issued_at, Some(later));
    }

    #[test]
    fn refresh_is_never_before_half_the_lifetime() {
        for (minutes, expected) in [(15, 5), (20, 5), (60, 15), (89, 15), (600, 60)] {
            assert_eq!(
                default_refresh_before(minutes * MINUTE),
                expected * MINUTE,
                "{minutes}"
            );
        }
        for minutes in 1..=10 {
            let lifetime = minutes * MINUTE;
            assert!(
                default_refresh_before(lifetime) + default_refresh_before(lifetime) / 10
                    <= lifetime / 2
            );
        }
    }
}
