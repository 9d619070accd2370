//! What a fetch brings, and the credential that it becomes.
//!
//! Guarantees that its lifetime counts from no later than the issuer stated it.

use std::time::{Duration, SystemTime};

use crate::{
    Credential, Lifetime, Put, Secret,
    clock::{self, BootInstant},
    judged::Unjudged,
};

/// A credential as the issuer gave it, for
/// [`get_or_fetch`](crate::Client::get_or_fetch) to store and to hand out.
///
/// `Debug` doesn't print the value.
#[derive(Clone, Debug)]
pub struct Fetched(Put);

impl Fetched {
    /// A credential with no more than it needs.
    ///
    /// A [`Lifetime::Ttl`] counts from before the fetch began, for when the
    /// issuer stated it isn't known: where the issuer states an end, say
    /// [`Lifetime::ExpiresAt`].
    pub fn new(value: Secret, lifetime: Lifetime) -> Self {
        Self(Put::new("", "", value, lifetime))
    }

    /// When the issuer issued it, so that the server can refuse it if it was
    /// revoked since.
    #[must_use]
    pub fn issued_at(self, issued_at: SystemTime) -> Self {
        Self(self.0.issued_at(issued_at))
    }

    /// How long before its end it should be fetched anew. By default the server
    /// decides, by the lifetime.
    #[must_use]
    pub fn refresh_before(self, refresh_before: Duration) -> Self {
        Self(self.0.refresh_before(refresh_before))
    }

    /// Adds a tag, by which it can be invalidated.
    #[must_use]
    pub fn tag(self, tag: impl Into<String>) -> Self {
        Self(self.0.tag(tag))
    }

    /// Adds a pair of text that is kept beside the value.
    #[must_use]
    pub fn attribute(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self(self.0.attribute(name, value))
    }

    /// The tier to use, instead of the smallest that covers the lifetime.
    #[must_use]
    pub fn tier(self, tier: impl Into<String>) -> Self {
        Self(self.0.tier(tier))
    }

    /// The credential, not stored yet, of a fetch that began at `begun`; `None`
    /// if it has ended already.
    pub(super) fn credential(&self, begun: BootInstant) -> Option<Unjudged> {
        // Read in this order: what passes in between shortens the lifetime.
        let boot = BootInstant::now();
        let wall = clock::wall_now();
        let left = match self.0.lifetime {
            Lifetime::Ttl(ttl) => begun.after(ttl).since(boot),
            Lifetime::ExpiresAt(at) => at.duration_since(wall).unwrap_or_default(),
        };
        if left.is_zero() {
            return None;
        }
        let expires_at = match self.0.lifetime {
            Lifetime::Ttl(_) => wall.checked_add(left)?,
            Lifetime::ExpiresAt(at) => at,
        };
        let refresh_before = self.0.refresh_before.unwrap_or_else(|| ahead(left));
        Some(Unjudged::new(Credential {
            value: self.0.value.clone(),
            expires_at,
            refresh_at: expires_at
                .checked_sub(refresh_before.min(left))
                .unwrap_or(expires_at),
            version: 0,
            tier: String::new(),
            attributes: self.0.attributes.clone(),
            tags: self.0.tags_each_once(),
            deadline: boot.after(left),
        }))
    }

    /// Its end, if the issuer stated one.
    pub(super) fn stated_end(&self) -> Option<SystemTime> {
        match self.0.lifetime {
            Lifetime::Ttl(_) => None,
            Lifetime::ExpiresAt(at) => Some(at),
        }
    }

    /// The Put of `credential`, which it became.
    pub(super) fn put(self, namespace: &str, key: &str, credential: &Credential) -> Put {
        self.0.with_place(namespace, key, credential.deadline)
    }

    /// Whether there is no value: nothing that anybody could use.
    pub(super) fn is_empty(&self) -> bool {
        self.0.value.expose().is_empty()
    }

    /// The same, issued no earlier than `at` unless the fetch knows better.
    pub(super) fn issued_after(self, at: SystemTime) -> Self {
        match self.0.issued_at {
            Some(_) => self,
            None => self.issued_at(at),
        }
    }
}

/// How long before its end the server would have a credential fetched anew, if
/// it added no jitter. The server's own rule stands in its core; a test of the
/// whole compares the two.
pub(crate) fn ahead(lifetime: Duration) -> Duration {
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
        let begun = BootInstant::now();
        let fetched = fetched(Lifetime::Ttl(MINUTE));
        let credential = fetched.credential(begun).unwrap();
        let credential = credential.seen();
        assert_eq!(credential.deadline, begun.after(MINUTE));
        let put = fetched.put("aws", "reader", credential);
        assert_eq!(put.ends(begun.after(MINUTE)), Some(begun.after(MINUTE)));
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
        assert_eq!(put.ends(BootInstant::now()), None);
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
            assert_eq!(ahead(minutes * MINUTE), expected * MINUTE, "{minutes}");
        }
        for minutes in 1..=10 {
            let lifetime = minutes * MINUTE;
            assert!(ahead(lifetime) + ahead(lifetime) / 10 <= lifetime / 2);
        }
    }
}
