//! Lookups of single credentials.

use std::{fmt, time::Duration};

use crate::{
    cache::Cache,
    counters::Count,
    model::{
        name::Name,
        tier_spec::TierId,
        time::{Deadline, Now},
    },
    store::entry::{Entry, EntryView, LookupKey},
};

/// The result of a lookup.
#[derive(Debug)]
pub enum Lookup {
    /// A live credential.
    Hit(Hit),
    /// No live credential, and the reason.
    Miss(Miss),
}

/// Why a lookup found no live credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The reason, as far as it is still known.
    pub reason: MissReason,
    /// When to ask again, if another caller is fetching the credential, or if the key is in a
    /// cool-down.
    pub retry_after: Option<Duration>,
}

/// The reason of a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// Nothing is stored, and any earlier reason is no longer known.
    NotFound,
    /// The credential has expired.
    Expired,
    /// The credential was invalidated.
    Revoked,
    /// The credential is live, but for less than `min_ttl`.
    TtlTooShort,
    /// Another caller is fetching the credential.
    Pending,
}

/// What [`Cache::hit`] does with a live credential that is due for refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDue {
    /// Returns it.
    Return,
    /// Declines it, because the caller wants the lease to refresh it.
    Decline,
}

/// A live credential, as of the `now` of its lookup.
pub struct Hit {
    entry: Entry,
    /// When the entry was judged.
    now: Now,
}

/// A handle that keeps a value alive without copying it.
pub struct SharedValue(Entry);

impl Cache {
    /// Looks up a credential. A credential with less than `min_ttl` left is a miss.
    ///
    /// `now` is called after the credential was found, so that no wait for a lock comes between
    /// reading the clocks and judging the deadline.
    pub fn get(&self, name: Name<'_>, min_ttl: Duration, now: impl FnOnce() -> Now) -> Lookup {
        let hash = self.hash(name);
        let lookup = match self.find(hash, name) {
            Some(entry) => judge(entry, min_ttl, now()),
            None => Lookup::Miss(self.explain_miss(hash, name, now)),
        };
        self.count(name, &lookup);
        lookup
    }

    /// Looks up several credentials like [`get`](Self::get), with one reading of the clocks for
    /// all.
    pub fn get_each(
        &self,
        names: &[Name<'_>],
        min_ttl: Duration,
        now: impl Fn() -> Now,
    ) -> Vec<Lookup> {
        // All locks are taken before the clocks are read.
        let found: Vec<_> = names
            .iter()
            .map(|name| {
                let hash = self.hash(*name);
                self.find(hash, *name)
                    .ok_or_else(|| self.explain_miss(hash, *name, &now))
            })
            .collect();
        let now = now();
        let lookups = found.into_iter().map(|found| match found {
            Ok(entry) => judge(entry, min_ttl, now),
            Err(miss) => Lookup::Miss(miss),
        });
        let lookups: Vec<_> = lookups.collect();
        for (name, lookup) in names.iter().zip(&lookups) {
            self.count(*name, lookup);
        }
        lookups
    }

    /// Looks up a live credential for a caller that calls [`get_or_lease`] next if this method
    /// returns `None`. That is the case on a miss, and for a credential that is due for refresh if
    /// `when_due` says so. Only a hit is counted here.
    ///
    /// [`get_or_lease`]: Self::get_or_lease
    pub fn hit(
        &self,
        name: Name<'_>,
        min_ttl: Duration,
        when_due: WhenDue,
        now: impl FnOnce() -> Now,
    ) -> Option<Hit> {
        let entry = self.find(self.hash(name), name)?;
        let lookup = judge(entry, min_ttl, now());
        match &lookup {
            Lookup::Hit(hit) if when_due == WhenDue::Return || !hit.is_due() => {
                self.count(name, &lookup);
            }
            _ => return None,
        }
        lookup.hit()
    }

    /// Looks up a credential for the holder of the key's lease. The answer is never
    /// [`MissReason::Pending`], because the holder is the caller that fetches.
    pub fn get_as_holder(
        &self,
        name: Name<'_>,
        min_ttl: Duration,
        now: impl FnOnce() -> Now,
    ) -> Lookup {
        let hash = self.hash(name);
        let mut stripe = self.stripe(hash).lock();
        let (mut lookup, now) = self.look_up(hash, name, min_ttl, now);
        // The lease may have been granted after the revision of an invalidation that hasn't reached
        // this stripe yet.
        let covered = self.remove_covered(&mut stripe, name, now);
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

    /// How many invalidations have begun so far. As long as the number stays the same, a credential
    /// that was live has not been revoked.
    #[must_use]
    pub fn invalidations(&self) -> u64 {
        self.change_log.invalidations()
    }

    /// The remaining lifetime of the credential that a name holds, if the credential is live and
    /// has this version. The lookup isn't counted.
    pub fn remaining(
        &self,
        name: Name<'_>,
        version: u64,
        now: impl FnOnce() -> Now,
    ) -> Option<Duration> {
        let (lookup, _) = self.look_up(self.hash(name), name, Duration::ZERO, now);
        let hit = lookup.hit()?;
        (hit.view().version().number() == version).then(|| hit.ttl())
    }

    /// Looks up a credential without counting the lookup. Returns the reading of the clocks that
    /// the entry was judged by.
    pub(crate) fn look_up(
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

    /// Passes the entry of a name, if there is one, to `read` under a lock that Puts may be waiting
    /// for. The hinted tier is searched first.
    #[inline]
    pub(crate) fn read<R>(
        &self,
        hash: u64,
        hinted: TierId,
        name: &LookupKey<'_>,
        mut read: impl FnMut(&Entry) -> R,
    ) -> Option<R> {
        let in_hinted = self.tiers[hinted.index()].read(hash, name, &mut read);
        in_hinted.or_else(|| {
            let mut others = self.tiers.iter().filter(|tier| tier.id != hinted);
            others.find_map(|tier| tier.read(hash, name, &mut read))
        })
    }

    /// Finds the reason why nothing is stored under a name.
    pub(crate) fn explain_miss(
        &self,
        hash: u64,
        name: Name<'_>,
        now: impl FnOnce() -> Now,
    ) -> Miss {
        let stripe = self.stripe(hash);
        if !stripe.has_miss_reasons() {
            return MissReason::NotFound.into();
        }
        let stripe = stripe.lock();
        if let Some(lease) = stripe.leases.lease(hash, name)
            && let Some(retry_after) = lease.retry_after(hash, now().boot)
        {
            return Miss::pending(retry_after);
        }
        let mut miss = Miss::from(MissReason::NotFound);
        miss.explain(stripe.tombstones.contains(hash, name));
        miss
    }
}

fn judge(entry: Entry, min_ttl: Duration, now: Now) -> Lookup {
    match check_ttl(entry.deadline(), min_ttl, now) {
        Ok(_) => Lookup::Hit(Hit { entry, now }),
        Err(reason) => Lookup::Miss(reason.into()),
    }
}

/// The remaining lifetime, if it is at least `min_ttl`.
pub(crate) fn check_ttl(
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
    /// The counter of this reason.
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
    /// Returns the credential of a hit.
    #[must_use]
    pub fn hit(self) -> Option<Hit> {
        match self {
            Self::Hit(hit) => Some(hit),
            Self::Miss(_) => None,
        }
    }
}

impl Miss {
    /// Sets the reason of a miss to `Revoked` if the name has a tombstone and nothing else is
    /// known.
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
    /// A handle to the value, which keeps it alive without a copy.
    #[must_use]
    pub fn value(&self) -> SharedValue {
        SharedValue(self.entry.clone())
    }

    /// The fields of the credential.
    #[must_use]
    #[inline]
    pub fn view(&self) -> EntryView<'_> {
        EntryView::new(&self.entry, self.entry.deadline().reported_expiry(self.now))
    }

    /// The remaining lifetime at the `now` of the lookup; never zero.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.entry.deadline().left(self.now).unwrap_or_default()
    }

    /// Whether the credential was due for refresh at the time of the lookup.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.ttl() <= self.entry.refresh_lead()
    }
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("version", &self.entry.version())
            .field("ttl", &self.ttl())
            .finish_non_exhaustive()
    }
}

impl AsRef<[u8]> for SharedValue {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}
