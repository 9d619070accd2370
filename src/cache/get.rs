//! Looking a credential up.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Cache,
    counters::{Count, TierCount},
    entry::{Attributes, Entry},
    name::Name,
    revision::Revision,
    tier_spec::TierId,
    time::{Now, WallTime},
};

/// What a Get found.
#[derive(Debug)]
pub enum Lookup {
    /// A live credential.
    Hit(Hit),
    /// None, and why.
    Miss(MissReason),
}

/// Why a Get missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// Nothing is stored, or why it went is no longer known.
    NotFound,
    /// Its lifetime has ended.
    Expired,
    /// It is live, but for less than was asked.
    TtlTooShort,
}

/// A live credential, as it stood at the `now` of the Get.
pub struct Hit {
    entry: Arc<Entry>,
    ttl: Duration,
    expires_at: WallTime,
}

/// Keeps a value alive without copying it.
pub struct SharedValue(Arc<Entry>);

impl Cache {
    /// Looks a credential up. Only one with at least `min_ttl` left is a hit.
    ///
    /// `now` is asked once the credential is found: waiting for a lock must not
    /// come between the clocks and the judgement.
    pub fn get(&self, name: Name<'_>, min_ttl: Duration, now: impl FnOnce() -> Now) -> Lookup {
        let hash = self.hash(name);
        let Some(entry) = self.tiers.iter().find_map(|tier| tier.get(hash, name)) else {
            self.namespaces
                .tally(name.namespace, |tally| tally.add(Count::NotFound));
            return Lookup::Miss(MissReason::NotFound);
        };
        let tally = &entry.namespace.tally;
        let now = now();
        match entry.deadline.left(now) {
            None => {
                tally.add(Count::Expired);
                Lookup::Miss(MissReason::Expired)
            }
            Some(left) if left < min_ttl => {
                tally.add(Count::TtlTooShort);
                Lookup::Miss(MissReason::TtlTooShort)
            }
            Some(left) => {
                tally.add_to_tier(entry.tier, TierCount::Hits);
                let expires_at = entry.deadline.told(now, left);
                Lookup::Hit(Hit {
                    entry,
                    ttl: left,
                    expires_at,
                })
            }
        }
    }
}

impl Hit {
    /// The value, kept alive without a copy.
    #[must_use]
    pub fn value(&self) -> SharedValue {
        SharedValue(self.entry.clone())
    }

    /// How much lifetime was left; never zero.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// When it ends, by the wall clock.
    #[must_use]
    pub fn expires_at(&self) -> WallTime {
        self.expires_at
    }

    /// When it should be fetched anew, by the wall clock.
    #[must_use]
    pub fn refresh_at(&self) -> WallTime {
        self.expires_at.before(self.entry.refresh_lead)
    }

    /// The revision of the Put that stored it.
    #[must_use]
    pub fn version(&self) -> Revision {
        self.entry.version
    }

    /// The tier that holds it.
    #[must_use]
    pub fn tier(&self) -> TierId {
        self.entry.tier
    }

    /// What the Put attached.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.entry.contents.attributes
    }
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("version", &self.version())
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl AsRef<[u8]> for SharedValue {
    fn as_ref(&self) -> &[u8] {
        self.0.contents.value.expose()
    }
}
