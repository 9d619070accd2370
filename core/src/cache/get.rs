//! Looking a credential up.

use std::{fmt, time::Duration};

use crate::{
    cache::Cache,
    counters::Count,
    model::{
        attributes::AttributesRef,
        name::Name,
        revision::Revision,
        tags::Tags,
        tier_spec::TierId,
        time::{Deadline, Now, WallTime},
    },
    store::entry::{Entry, LookupKey},
};

/// What a Get found.
#[derive(Debug)]
pub enum Lookup {
    /// A live credential.
    Hit(Hit),
    /// None, and why.
    Miss(Miss),
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The reason, as far as it is still known.
    pub reason: MissReason,
    /// When to ask again: while somebody fetches it, and while no lease is
    /// granted.
    pub retry_after: Option<Duration>,
}

/// Why a Get missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// Nothing is stored, or why it went is no longer known.
    NotFound,
    /// Its lifetime has ended.
    Expired,
    /// It was invalidated.
    Revoked,
    /// It is live, but for less than was asked.
    TtlTooShort,
    /// Somebody is fetching it.
    Pending,
}

/// A live credential, as it stood at the `now` of the Get.
pub struct Hit {
    entry: Entry,
    /// When it was judged live.
    now: Now,
}

/// Keeps a value alive without copying it.
pub struct SharedValue(Entry);

impl Cache {
    /// Looks a credential up. Only one with at least `min_ttl` left is a hit.
    ///
    /// `now` is asked once the credential is found: waiting for a lock must not
    /// come between the clocks and the judgement.
    pub fn get(&self, name: Name<'_>, min_ttl: Duration, now: impl FnOnce() -> Now) -> Lookup {
        let hash = self.hash(name);
        let lookup = match self.find(hash, name) {
            Some(entry) => judge(entry, min_ttl, now()),
            None => Lookup::Miss(self.why_not(hash, name, now)),
        };
        self.count(name, &lookup);
        lookup
    }

    /// Looks several up, as [`get`](Self::get) does each, by one reading of the
    /// clocks.
    pub fn get_each(
        &self,
        names: &[Name<'_>],
        min_ttl: Duration,
        now: impl Fn() -> Now,
    ) -> Vec<Lookup> {
        // Whatever takes a lock comes first.
        let found: Vec<_> = names
            .iter()
            .map(|name| {
                let hash = self.hash(*name);
                self.find(hash, *name)
                    .ok_or_else(|| self.why_not(hash, *name, &now))
            })
            .collect();
        let now = now();
        let judged = found.into_iter().map(|found| match found {
            Ok(entry) => judge(entry, min_ttl, now),
            Err(miss) => Lookup::Miss(miss),
        });
        let lookups: Vec<_> = judged.collect();
        for (name, lookup) in names.iter().zip(&lookups) {
            self.count(*name, lookup);
        }
        lookups
    }

    /// The live credential, if there is one that a caller who would refresh it
    /// needn't refresh. What isn't found isn't counted: [`get_or_lease`] is what
    /// to do next.
    ///
    /// [`get_or_lease`]: Self::get_or_lease
    pub fn hit(
        &self,
        name: Name<'_>,
        min_ttl: Duration,
        would_refresh: bool,
        now: impl FnOnce() -> Now,
    ) -> Option<Hit> {
        let entry = self.find(self.hash(name), name)?;
        let lookup = judge(entry, min_ttl, now());
        match &lookup {
            Lookup::Hit(hit) if !(would_refresh && hit.is_due()) => self.count(name, &lookup),
            _ => return None,
        }
        lookup.hit()
    }

    /// Looks a credential up for whoever holds its lease: nobody else fetches.
    pub fn get_as_holder(
        &self,
        name: Name<'_>,
        min_ttl: Duration,
        now: impl FnOnce() -> Now,
    ) -> Lookup {
        let hash = self.hash(name);
        let mut stripe = self.stripe(hash).lock();
        let (mut lookup, now) = self.look(hash, name, min_ttl, now);
        // The lease may have been granted after the revision of an invalidation
        // that hasn't got here yet.
        let covered = self.take_out_covered(&mut stripe, name, now);
        if covered.is_some() {
            lookup = Lookup::Miss(MissReason::NotFound.into());
        }
        if let Lookup::Miss(miss) = &mut lookup {
            miss.explain(stripe.tombstones.contains(hash, name));
        }
        drop(stripe);
        self.count(name, &lookup);
        lookup
    }

    /// Looks a credential up, uncounted, and then asks for `now`; what it was
    /// judged by goes with it.
    pub(crate) fn look(
        &self,
        hash: u64,
        name: Name<'_>,
        min_ttl: Duration,
        now: impl FnOnce() -> Now,
    ) -> (Lookup, Now) {
        let found = self.find(hash, name);
        let now = now();
        let lookup = match found {
            Some(entry) => judge(entry, min_ttl, now),
            None => Lookup::Miss(MissReason::NotFound.into()),
        };
        (lookup, now)
    }

    pub(crate) fn count(&self, name: Name<'_>, lookup: &Lookup) {
        match lookup {
            Lookup::Hit(hit) => hit.entry.namespace().tally.add_hits(hit.entry.tier(), 1),
            Lookup::Miss(miss) => {
                let count = miss.reason.count();
                self.namespaces
                    .tally(name.namespace, |tally| tally.add(count));
            }
        }
    }

    fn find(&self, hash: u64, name: Name<'_>) -> Option<Entry> {
        let hinted = self.tier_hints.tier(hash);
        self.read(hash, hinted, &name.into(), Entry::clone)
    }

    /// Hands the entry of a name, if there is one, to `read`, under a lock that
    /// Puts may be waiting for. It is looked for in the hinted tier first.
    #[inline]
    pub(crate) fn read<R>(
        &self,
        hash: u64,
        hinted: TierId,
        name: &LookupKey<'_>,
        mut read: impl FnMut(&Entry) -> R,
    ) -> Option<R> {
        let at_once = self.tiers[hinted.index()].read(hash, name, &mut read);
        at_once.or_else(|| {
            let mut others = self.tiers.iter().filter(|tier| tier.id != hinted);
            others.find_map(|tier| tier.read(hash, name, &mut read))
        })
    }

    /// What is known of a name that holds nothing.
    pub(crate) fn why_not(&self, hash: u64, name: Name<'_>, now: impl FnOnce() -> Now) -> Miss {
        let stripe = self.stripe(hash);
        if !stripe.remembers() {
            return MissReason::NotFound.into();
        }
        let stripe = stripe.lock();
        if let Some(lease) = stripe.leases.lease(hash, name)
            && let Some(retry_after) = lease.come_back(hash, now().boot)
        {
            return Miss::pending(retry_after);
        }
        let mut miss = Miss::from(MissReason::NotFound);
        miss.explain(stripe.tombstones.contains(hash, name));
        miss
    }
}

fn judge(entry: Entry, min_ttl: Duration, now: Now) -> Lookup {
    match left(entry.deadline(), min_ttl, now) {
        Ok(_) => Lookup::Hit(Hit { entry, now }),
        Err(reason) => Lookup::Miss(reason.into()),
    }
}

/// What is left of a lifetime, if it is enough.
pub(crate) fn left(
    deadline: Deadline,
    min_ttl: Duration,
    now: Now,
) -> Result<Duration, MissReason> {
    let left = deadline.left(now).ok_or(MissReason::Expired)?;
    if left < min_ttl {
        return Err(MissReason::TtlTooShort);
    }
    Ok(left)
}

impl MissReason {
    /// What it is counted as.
    pub(crate) fn count(self) -> Count {
        match self {
            Self::NotFound => Count::NotFound,
            Self::Expired => Count::Expired,
            Self::Revoked => Count::Revoked,
            Self::TtlTooShort => Count::TtlTooShort,
            Self::Pending => Count::Pending,
        }
    }
}

impl Lookup {
    /// The credential of a hit.
    #[must_use]
    pub fn hit(self) -> Option<Hit> {
        match self {
            Self::Hit(hit) => Some(hit),
            Self::Miss(_) => None,
        }
    }
}

impl Miss {
    /// Says why nothing is stored, if that is known.
    pub(crate) fn explain(&mut self, revoked: bool) {
        if revoked && self.reason == MissReason::NotFound {
            self.reason = MissReason::Revoked;
        }
    }

    pub(crate) fn pending(retry_after: Duration) -> Self {
        Self {
            reason: MissReason::Pending,
            retry_after: Some(retry_after),
        }
    }
}

impl From<MissReason> for Miss {
    fn from(reason: MissReason) -> Self {
        Self {
            reason,
            retry_after: None,
        }
    }
}

impl Hit {
    /// The value, kept alive without a copy.
    #[must_use]
    pub fn value(&self) -> SharedValue {
        SharedValue(self.entry.clone())
    }

    /// The value itself.
    #[must_use]
    pub fn value_bytes(&self) -> &[u8] {
        self.entry.value()
    }

    /// How much lifetime was left; never zero.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.entry.deadline().left(self.now).unwrap_or_default()
    }

    /// When it ends, by the wall clock.
    #[must_use]
    pub fn expires_at(&self) -> WallTime {
        self.entry.deadline().reported_expiry(self.now)
    }

    /// When it should be fetched anew, by the wall clock.
    #[must_use]
    pub fn refresh_at(&self) -> WallTime {
        self.expires_at().before(self.entry.refresh_lead())
    }

    /// Whether it is time to fetch it anew.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.ttl() <= self.entry.refresh_lead()
    }

    /// The revision of the Put that stored it.
    #[must_use]
    pub fn version(&self) -> Revision {
        self.entry.version()
    }

    /// The tier that holds it.
    #[must_use]
    pub fn tier(&self) -> TierId {
        self.entry.tier()
    }

    /// What the Put attached.
    #[must_use]
    pub fn attributes(&self) -> AttributesRef<'_> {
        self.entry.attributes()
    }

    /// The tags of the Put.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        self.entry.labels().tags()
    }
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("version", &self.version())
            .field("ttl", &self.ttl())
            .finish_non_exhaustive()
    }
}

impl AsRef<[u8]> for SharedValue {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}
