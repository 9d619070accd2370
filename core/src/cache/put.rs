//! Storing a credential.

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use crate::{
    cache::{Cache, lease::LeaseLost},
    change_log::{
        fences::Evidence,
        log::{Current, Revoked},
    },
    counters::Count,
    index::entry_index::Departure,
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
        entry::{Entry, Parts},
        namespaces::Namespace,
    },
};

/// A credential to store.
#[derive(Debug)]
pub struct Put<'a> {
    /// Under which name.
    pub name: Name<'a>,
    /// What it is.
    pub contents: Contents,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// How long before its end it should be fetched anew; `None` for the
    /// default by lifetime.
    pub refresh_before: Option<Duration>,
    /// The tier asked for; `None` for the smallest that covers the lifetime.
    pub tier: Option<TierId>,
    /// When the issuer issued it.
    pub issued_at: Option<WallTime>,
    /// The lease under which it was fetched.
    pub lease: Option<Token>,
    /// On which condition.
    pub precondition: Option<Precondition>,
}

/// A condition on what the name holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing live.
    Absent,
    /// This live version.
    Version(Revision),
}

/// Why nothing was stored.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PutError {
    /// There is no lifetime left.
    #[error("the lifetime is already over")]
    NoLifetime,
    /// [`Precondition::Absent`], and the name holds a live credential.
    #[error("the key is live")]
    Exists,
    /// [`Precondition::Version`], and the name doesn't hold this version live.
    #[error("the key doesn't hold this version")]
    VersionDiffers,
    /// The lease it was fetched under isn't the key's current one.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// It may have been revoked since its lease was granted, or since it was
    /// issued.
    #[error("revoked since it was fetched")]
    Revoked,
    /// As many namespaces hold something as may.
    #[error("the server holds as many namespaces as it may")]
    TooManyNamespaces,
}

/// For how long the answer to a fill is remembered, for one who lost it: longer
/// than a client goes on trying.
const FILL_REMEMBERED: Duration = Duration::from_secs(60);

impl Cache {
    /// Stores a credential in place of whatever its name held, in whichever
    /// tier that was. It may push others out, and is pushed out by others.
    ///
    /// The fill of a lease that was stored already stores nothing again, and is
    /// answered the same, as long as that is remembered. A Put without a lease
    /// ends the name's lease.
    ///
    /// # Errors
    /// Nothing is stored, and what the name held stays.
    pub fn put(&self, put: Put<'_>, now: Now) -> Result<Stored, PutError> {
        let Put {
            name,
            contents,
            lifetime,
            refresh_before,
            tier,
            issued_at,
            lease,
            precondition,
        } = put;
        let asked = lifetime.left(now).ok_or(PutError::NoLifetime)?;
        let tier = &self.tiers[tier
            .unwrap_or_else(|| self.smallest_covering(asked))
            .index()];
        let lifetime = asked.min(tier.spec.max_ttl);
        let deadline = Deadline::after(now, lifetime);
        let namespace = self
            .namespace_for(name.namespace, precondition)
            .inspect_err(|_| {
                self.namespaces
                    .tally(name.namespace, |tally| tally.add(Count::PutsRefused));
            })?;
        let hash = self.hash(name);
        let mut stripe = self.stripe(hash).lock();
        let filled = lease.and_then(|token| stripe.fills.of(hash, name, token, now.boot));
        if let Some(stored) = filled {
            return Ok(*stored);
        }
        let mut current = stripe.index.named(namespace.id, name.key.as_str()).cloned();
        let granted = lease.map(|token| {
            let granted = stripe.flights.granted(hash, name, token, now.boot);
            granted.ok_or(LeaseLost)
        });
        let evidence = granted
            .transpose()
            .map(|granted| Evidence { granted, issued_at });
        let is_kept = |entry: &Entry| self.tiers[entry.tier().index()].keeps(entry);
        // Matters to a precondition alone: a Put without one takes no shard's lock.
        let is_kept = precondition.is_some() && current.as_ref().is_some_and(is_kept);
        // The version is taken under the stripe's lock: within a name, versions
        // are in the order of the Puts, and an invalidation with a higher
        // revision finds this entry in the index.
        let decided = self.ledger.enter_put(
            name,
            &contents.tags,
            current.as_ref().map(|entry| Current::at(entry, now)),
            |live| {
                check(precondition, live.filter(|_| is_kept))?;
                Ok(evidence?)
            },
        );
        let covered = current.take_if(|_| decided.is_claimed);
        if let Some(entry) = &covered {
            self.take_out(&mut stripe, entry, now);
        }
        let entered = match decided.entered {
            Ok(entered) => entered,
            Err(error) => {
                namespace.tally.add(Count::PutsRefused);
                let wakers = match (error, lease) {
                    (PutError::Revoked, Some(_)) => {
                        self.give_up_lease(&mut stripe.flights, hash, name, now)
                    }
                    _ => Wakers::default(),
                };
                drop(stripe);
                wakers.wake();
                return Err(error);
            }
        };
        let version = entered.revision();
        if let Some(current) = &current {
            let expired = current.deadline().passed(now);
            stripe.index.remove(
                current,
                if expired {
                    Departure::Expired
                } else {
                    Departure::Replaced
                },
            );
            // Out of the old tier before it is in the new one: in between a Get
            // misses, but never meets the old one after the new, whichever tier
            // it looks into first.
            if current.tier() != tier.id {
                self.tiers[current.tier().index()].remove(current);
            }
        }
        stripe.revoked.forget(hash, name);
        namespace.tally.add(Count::Puts);
        let Contents {
            value,
            tags,
            attributes,
        } = contents;
        let entry = Entry::new(Parts {
            group: stripe.index.group(&namespace, tags, tier.id),
            key: name.key,
            value,
            attributes,
            deadline,
            refresh_lead: refresh::lead(lifetime, refresh_before, jitter(hash, version.number())),
            version,
            tier: tier.id,
        });
        stripe.index.insert(&entry);
        self.hints.set(hash, tier.id);
        let pushed_out = tier.insert(entry);
        let stored = Stored {
            version,
            tier: tier.id,
            expires_at: deadline.wall(),
        };
        let wakers = match lease {
            Some(token) => {
                let full_name = (namespace.name.clone(), name.key.as_str().into());
                let until = now.boot.after(FILL_REMEMBERED);
                let fills = &mut stripe.fills;
                fills.remember(hash, full_name, token, stored, until);
                stripe.flights.fill(hash, name, &namespace.tally)
            }
            None => stripe.flights.supersede(hash, name),
        };
        drop(stripe);
        drop(entered);
        wakers.wake();

        for gone in pushed_out {
            self.stripe(gone.hash(&self.hasher))
                .lock()
                .index
                .remove(&gone, Departure::Evicted);
        }
        Ok(stored)
    }

    /// The record of a namespace that is about to hold something. One that can't
    /// get to that isn't made: it would take the place of another.
    fn namespace_for(
        &self,
        name: NamespaceName<'_>,
        precondition: Option<Precondition>,
    ) -> Result<Arc<Namespace>, PutError> {
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

impl From<Revoked> for PutError {
    fn from(Revoked: Revoked) -> Self {
        Self::Revoked
    }
}

fn check(precondition: Option<Precondition>, live: Option<&Entry>) -> Result<(), PutError> {
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
