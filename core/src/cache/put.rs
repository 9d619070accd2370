//! Storing credentials.

use std::{mem, sync::Arc, time::Duration};

use thiserror::Error;

use crate::{
    cache::{Cache, lease::LeaseLost},
    change_log::{
        fences::Evidence,
        log::{CurrentEntry, PendingChange, PutDecision, Revoked},
    },
    counters::Count,
    index::{
        entry_index::{EntryIndex, RemovalReason},
        stripe::StripeState,
    },
    leases::{table::Wakers, token::Token},
    model::{
        contents::Contents,
        jitter::jitter,
        name::{Name, NamespaceName},
        outcome::Stored,
        refresh,
        revision::Revision,
        tier_spec::TierId,
        time::{Deadline, Lifetime, Now, WallTime},
    },
    store::{
        entry::{Entry, NewEntry},
        namespaces::NamespaceRecord,
        tier::Tier,
    },
};

/// A credential to store.
#[derive(Debug)]
pub struct Put<'a> {
    /// The name to store it under.
    pub name: Name<'a>,
    /// Its value, tags and attributes.
    pub contents: Contents,
    /// How long it lives. The lifetime is cut to the tier's `max_ttl`.
    pub lifetime: Lifetime,
    /// How long before its expiry the credential should be refreshed; `None` for a default that
    /// depends on the lifetime.
    pub refresh_before: Option<Duration>,
    /// The tier to store it in; `None` for the tier with the smallest `max_ttl` that covers the
    /// lifetime.
    pub tier: Option<TierId>,
    /// When the issuer issued the credential. Enables the check against `issued_before` of earlier
    /// invalidations.
    pub issued_at: Option<WallTime>,
    /// The token of the lease under which the credential was fetched. A Put with a lease is a fill.
    pub lease: Option<Token>,
    /// A condition on the current content of the key.
    pub precondition: Option<Precondition>,
}

/// A condition on what the name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The name holds no live credential.
    Absent,
    /// The name holds a live credential with this version.
    Version(Revision),
}

/// Why a Put was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PutError {
    /// The requested lifetime has ended already.
    #[error("the lifetime has already ended")]
    NoLifetime,
    /// With [`Precondition::Absent`]: the name holds a live credential.
    #[error("the key holds a live credential")]
    Exists,
    /// With [`Precondition::Version`]: the name doesn't hold a live credential with this version.
    #[error("the key doesn't hold a live credential of this version")]
    VersionDiffers,
    /// The lease isn't the key's current lease.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// The credential may have been revoked since its lease was granted, or since it was issued.
    #[error("the credential may have been revoked since it was fetched")]
    Revoked,
    /// [`Limits::max_namespaces`](crate::Limits::max_namespaces) namespaces hold something.
    #[error("the limit on namespaces is reached")]
    TooManyNamespaces,
}

/// How long the answer to a fill is remembered for a caller that lost it: longer than a client
/// retries.
const FILL_REMEMBERED: Duration = Duration::from_secs(60);

/// A Put after the checks that don't depend on the state of its key.
struct Prepared<'c, 'p> {
    tier: &'c Tier,
    /// The lifetime after it was cut to the tier's `max_ttl`.
    lifetime: Duration,
    deadline: Deadline,
    namespace: Arc<NamespaceRecord>,
    hash: u64,
    name: Name<'p>,
    lease: Option<Token>,
    now: Now,
}

/// A Put that has its revision, and the entry that it replaces.
struct Committed<'c> {
    change: PendingChange<'c>,
    replaces: Option<Entry>,
}

impl Cache {
    /// Stores a credential in place of any credential that the name holds, in whichever tier. The
    /// tier may evict other credentials to make room, and later Puts may evict this one.
    ///
    /// A fill is idempotent: if the same lease was filled before, the method stores nothing and
    /// returns the first result, as long as the cache remembers it (60 s). A Put without a lease
    /// ends the lease of its key.
    ///
    /// # Errors
    /// [`PutError`]. Nothing is stored, and the name keeps its credential.
    pub fn put(&self, put: Put<'_>, now: Now) -> Result<Stored, PutError> {
        let prepared = self.prepare(&put, now)?;
        // Dropped, and zeroed, after the stripe is unlocked.
        let mut covered = None;
        let mut stripe = self.stripe(prepared.hash).lock();
        let filled = prepared.lease.and_then(|token| {
            stripe
                .fills
                .get(prepared.hash, prepared.name, token, now.boot)
        });
        if let Some(stored) = filled {
            return Ok(*stored);
        }
        let committed = match self.commit(&mut stripe, &prepared, &put, &mut covered) {
            Ok(committed) => committed,
            Err(error) => {
                let wakers = self.refuse(&mut stripe, &prepared, error);
                drop(stripe);
                wakers.wake();
                return Err(error);
            }
        };
        let Committed { change, replaces } = committed;
        let version = change.revision();
        if let Some(replaced) = &replaces {
            self.replace(&mut stripe, replaced, prepared.tier.id, now);
        }
        let entry = prepared.entry(&stripe.index, put.contents, put.refresh_before, version);
        debug_assert!(self.is_only_in(&prepared), "another tier holds the name");
        let (stored, evicted, wakers) = self.store(&mut stripe, &prepared, entry);
        debug_assert!(
            replaces
                .as_ref()
                .is_none_or(|old| !self.tiers[old.tier().index()].keeps(old)),
            "a tier holds what the index doesn't"
        );
        drop(stripe);
        change.publish();
        wakers.wake();
        for entry in evicted {
            let mut stripe = self.stripe(entry.hash(&self.hasher)).lock();
            stripe.index.remove(&entry, RemovalReason::Evicted);
        }
        Ok(stored)
    }

    /// The first step: everything that needs no lock on the stripe.
    fn prepare<'c, 'p>(&'c self, put: &Put<'p>, now: Now) -> Result<Prepared<'c, 'p>, PutError> {
        let requested = put.lifetime.left(now).ok_or(PutError::NoLifetime)?;
        let tier = put
            .tier
            .unwrap_or_else(|| self.smallest_covering(requested));
        let tier = &self.tiers[tier.index()];
        let lifetime = requested.min(tier.spec.max_ttl);
        let namespace = self.namespace_for(put.name.namespace, put.precondition);
        let namespace = namespace.inspect_err(|_| {
            self.namespaces
                .tally(put.name.namespace, |tally| tally.add(Count::PutsRefused));
        })?;
        Ok(Prepared {
            tier,
            lifetime,
            deadline: Deadline::after(now, lifetime),
            namespace,
            hash: self.hash(put.name),
            name: put.name,
            lease: put.lease,
            now,
        })
    }

    /// The second step: decides by the key's entry, its lease and the fences, and takes the
    /// version. All this happens under the stripe's lock. So the versions of a name are in the
    /// order of its Puts, and an invalidation with a higher revision finds this entry in the index.
    /// An entry that an invalidation in progress covers is removed and moved to `covered`, which
    /// the caller drops after unlocking.
    fn commit<'c>(
        &'c self,
        stripe: &mut StripeState,
        prepared: &Prepared<'c, 'c>,
        put: &Put<'c>,
        covered: &mut Option<Entry>,
    ) -> Result<Committed<'c>, PutError> {
        let Prepared {
            namespace,
            hash,
            name,
            now,
            ..
        } = prepared;
        let mut current = stripe.index.named(namespace.id, name.key.as_str()).cloned();
        let granted = put.lease.map(|token| {
            let granted = stripe.leases.granted(*hash, *name, token, now.boot);
            granted.ok_or(LeaseLost)
        });
        let evidence = granted.transpose().map(|granted| Evidence {
            granted,
            issued_at: put.issued_at,
        });
        // Looked up only for a precondition, so that other Puts don't lock a shard of the tier.
        let is_kept = put.precondition.is_some()
            && current
                .as_ref()
                .is_some_and(|entry| self.tiers[entry.tier().index()].keeps(entry));
        let decision: PutDecision<'_, PutError> = self.change_log.commit_put(
            *name,
            &put.contents.tags,
            current.as_ref().map(|entry| CurrentEntry::at(entry, *now)),
            |live| {
                check_precondition(put.precondition, live.filter(|_| is_kept))?;
                Ok(evidence?)
            },
        );
        *covered = current.take_if(|_| decision.is_claimed);
        if let Some(entry) = covered {
            self.remove_entry(stripe, entry, *now);
        }
        let change = decision.change?;
        Ok(Committed {
            change,
            replaces: current,
        })
    }

    /// Counts a Put that was refused. A lease whose fill was revoked goes to the next waiter.
    fn refuse(
        &self,
        stripe: &mut StripeState,
        prepared: &Prepared<'_, '_>,
        error: PutError,
    ) -> Wakers {
        let Prepared {
            namespace,
            hash,
            name,
            lease,
            now,
            ..
        } = prepared;
        namespace.tally.add(Count::PutsRefused);
        match (error, lease) {
            (PutError::Revoked, Some(_)) => {
                self.revoke_lease(&mut stripe.leases, *hash, *name, *now)
            }
            _ => Wakers::default(),
        }
    }

    fn replace(&self, stripe: &mut StripeState, replaced: &Entry, tier: TierId, now: Now) {
        let reason = if replaced.deadline().passed(now) {
            RemovalReason::Expired
        } else {
            RemovalReason::Replaced
        };
        stripe.index.remove(replaced, reason);
        // The old entry leaves its tier before the new entry is stored in another tier. In between,
        // a Get misses, but a Get never finds the old entry after another Get found the new one,
        // whichever tier it searches first.
        if replaced.tier() != tier {
            self.tiers[replaced.tier().index()].remove(replaced);
        }
    }

    /// Whether no tier but the one that is put into holds anything under the name.
    fn is_only_in(&self, prepared: &Prepared<'_, '_>) -> bool {
        let others = self.tiers.iter().filter(|one| one.id != prepared.tier.id);
        let name = prepared.name.into();
        others
            .map(|other| other.read(prepared.hash, &name, &mut |_| ()))
            .all(|found| found.is_none())
    }

    /// The third step: stores the entry in index and tier, and ends the lease of its key. Returns
    /// the entries that the tier evicted, which the caller removes from the index after unlocking
    /// this stripe.
    fn store(
        &self,
        stripe: &mut StripeState,
        prepared: &Prepared<'_, '_>,
        entry: Entry,
    ) -> (Stored, Vec<Entry>, Wakers) {
        let Prepared {
            tier,
            deadline,
            namespace,
            hash,
            name,
            lease,
            now,
            ..
        } = prepared;
        let stored = Stored {
            version: entry.version(),
            tier: tier.id,
            expires_at: deadline.wall(),
        };
        stripe.tombstones.forget(*hash, *name);
        namespace.tally.add(Count::Puts);
        stripe.index.insert(&entry);
        self.tier_hints.set(*hash, tier.id);
        let evicted = tier.insert(entry);
        let wakers = match lease {
            Some(token) => {
                let full_name = (namespace.name.clone(), name.key.as_str().into());
                let until = now.boot.after(FILL_REMEMBERED);
                let fills = &mut stripe.fills;
                fills.remember(*hash, full_name, *token, stored, until);
                stripe.leases.fill(*hash, *name, &namespace.tally)
            }
            None => stripe.leases.supersede(*hash, *name),
        };
        (stored, evicted, wakers)
    }

    /// The record of a namespace that is about to hold a credential. No record is created if the
    /// precondition is certain to fail, because it would take the room of another record.
    fn namespace_for(
        &self,
        name: NamespaceName<'_>,
        precondition: Option<Precondition>,
    ) -> Result<Arc<NamespaceRecord>, PutError> {
        match precondition {
            Some(Precondition::Version(_)) => {
                self.namespaces.find(name).ok_or(PutError::VersionDiffers)
            }
            Some(Precondition::Absent) | None => self
                .namespaces
                .find_or_create(name)
                .map_err(|_| PutError::TooManyNamespaces),
        }
    }

    fn smallest_covering(&self, lifetime: Duration) -> TierId {
        let covering = self.tiers.iter().find(|tier| tier.spec.max_ttl >= lifetime);
        covering.unwrap_or(&self.tiers[self.tiers.len() - 1]).id
    }
}

impl Prepared<'_, '_> {
    fn entry(
        &self,
        index: &EntryIndex,
        mut contents: Contents,
        refresh_before: Option<Duration>,
        version: Revision,
    ) -> Entry {
        let tags = mem::take(&mut contents.tags);
        Entry::new(NewEntry {
            labels: index.labels(&self.namespace, tags, self.tier.id),
            key: self.name.key,
            contents,
            deadline: self.deadline,
            refresh_lead: refresh::lead(
                self.lifetime,
                refresh_before,
                jitter(self.hash, version.number()),
            ),
            version,
            tier: self.tier.id,
        })
    }
}

impl From<Revoked> for PutError {
    fn from(Revoked: Revoked) -> Self {
        Self::Revoked
    }
}

fn check_precondition(
    precondition: Option<Precondition>,
    live: Option<&Entry>,
) -> Result<(), PutError> {
    match precondition {
        Some(Precondition::Absent) if live.is_some() => Err(PutError::Exists),
        Some(Precondition::Version(version))
            if live.is_none_or(|entry| entry.version() != version) =>
        {
            Err(PutError::VersionDiffers)
        }
        _ => Ok(()),
    }
}
