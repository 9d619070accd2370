//! Revoking credentials.

use std::time::Duration;

use super::{
    Cache,
    counters::Count,
    ledger::{Current, Entered, Revocation},
    name::{Key, KeyPrefix, Name, NamespaceName, Tag},
    revision::Revision,
    sweep::{Selection, Sweep},
    time::{Now, WallTime},
    token::LONGEST_LEASE,
};

/// What to revoke.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The credential of one key.
    Key {
        /// Which key.
        key: Key<'a>,
        /// Only if this is its version.
        if_version: Option<Revision>,
    },
    /// Every credential whose key starts so.
    Prefix(KeyPrefix<'a>),
    /// Every credential with this tag.
    Tag(Tag<'a>),
    /// Every credential of the namespace.
    All,
}

/// A revocation.
#[derive(Clone, Copy, Debug)]
pub struct Invalidate<'a> {
    /// In which namespace.
    pub namespace: NamespaceName<'a>,
    /// What of it.
    pub target: Target<'a>,
    /// What was issued at or before is refused from now on; `None` for the
    /// instant of the invalidation. Counts as [`LONGEST_AHEAD`] from now where
    /// it is later.
    pub issued_before: Option<WallTime>,
}

/// How far ahead of the wall clock `issued_before` may be: what clocks differ
/// by, and no more, for it is held against every namespace if memory is short.
pub const LONGEST_AHEAD: Duration = Duration::from_secs(300);

/// How long an invalidation is remembered at least, even where every tier is
/// shorter. What is left of it afterwards refuses by time of issue alone,
/// whatever the name: with less, a token that is issued for an hour and put
/// again every minute would be refused for other keys' invalidations.
pub const SHORTEST_MEMORY: Duration = Duration::from_secs(12 * 3600);

const _: () = assert!(SHORTEST_MEMORY.as_nanos() > LONGEST_LEASE.as_nanos());

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidated {
    /// How many live credentials were removed.
    pub removed: u64,
    /// The revision of the invalidation.
    pub revision: Revision,
}

impl Cache {
    /// Removes what matches. Once it returns, no Get finds a matching
    /// credential whose version is below the answered revision, and no Put
    /// stores one under a lease granted before, or one issued at or before
    /// `issued_before`. From its revision on, whatever decides by what a key
    /// holds takes a matching credential of a lower version for gone.
    ///
    /// With a version, nothing happens unless the key holds just that.
    ///
    /// A large removal takes a fifth of a second for each 100,000 credentials;
    /// Gets go on throughout, and Puts between its steps.
    pub fn invalidate(&self, invalidate: Invalidate<'_>, now: Now) -> Invalidated {
        self.begin_invalidation(invalidate, now).finish()
    }

    /// Begins to do what [`invalidate`](Self::invalidate) does. That of one key
    /// is done by that.
    pub fn begin_invalidation<'a>(&'a self, invalidate: Invalidate<'a>, now: Now) -> Sweep<'a> {
        let Invalidate {
            namespace,
            target,
            issued_before,
        } = invalidate;
        self.namespaces
            .tally(namespace, |tally| tally.add(Count::Invalidations));
        let revocation = self.revocation(issued_before, now);
        if let Target::Key {
            key,
            if_version: Some(version),
        } = target
        {
            let name = Name { namespace, key };
            let invalidated = self.invalidate_version(name, version, revocation, now);
            return Sweep::done(self, invalidated, now);
        }
        // Before any stripe is looked at: a Put that isn't in the index by then
        // takes a higher revision.
        let entered = self
            .ledger
            .enter_invalidation(namespace, target, revocation);
        let revision = entered.revision();
        let Some(record) = self.namespaces.find(namespace) else {
            let removed = 0;
            return Sweep::done(self, Invalidated { removed, revision }, now);
        };
        let selection = match target {
            Target::Key { key, .. } => {
                let name = Name { namespace, key };
                let removed = self.remove_key(record.id, name, &entered, now);
                let removed = removed + entered.publish();
                return Sweep::done(self, Invalidated { removed, revision }, now);
            }
            Target::Prefix(prefix) => Selection::Prefix(record.id, prefix.as_str()),
            Target::Tag(tag) => Selection::Tag(record.id, tag.as_str()),
            Target::All => Selection::Prefix(record.id, ""),
        };
        Sweep::new(self, selection, entered, now)
    }

    fn remove_key(&self, namespace: u64, name: Name<'_>, entered: &Entered<'_>, now: Now) -> u64 {
        let mut removed = 0;
        self.remove(self.stripe(self.hash(name)), now, |index| {
            let current = index.named(namespace, name.key.as_str());
            let matching = current.filter(|entry| entry.version() < entered.revision());
            let matching: Vec<_> = matching.cloned().into_iter().collect();
            removed = entered.count(&matching, now);
            matching
        });
        removed
    }

    /// Decides and enters it under the stripe's lock: else a Put in between
    /// would be revoked in place of what it replaced.
    fn invalidate_version(
        &self,
        name: Name<'_>,
        version: Revision,
        revocation: Revocation,
        now: Now,
    ) -> Invalidated {
        let record = self.namespaces.find(name.namespace);
        let mut stripe = self.stripe(self.hash(name)).lock();
        let named = record.and_then(|record| stripe.index.named(record.id, name.key.as_str()));
        let held = named.filter(|entry| entry.version() == version).cloned();
        let Some(entry) = held else {
            return Invalidated {
                removed: 0,
                revision: self.ledger.enter_nothing(),
            };
        };
        let current = Current::at(&entry, now);
        let entered = self
            .ledger
            .enter_version_invalidation(name, current, revocation);
        let was_live = self.take_out(&mut stripe, &entry, now);
        drop(stripe);
        match &entered {
            Some(entered) => Invalidated {
                removed: was_live.into(),
                revision: entered.revision(),
            },
            // That one counts it.
            None => Invalidated {
                removed: 0,
                revision: self.ledger.enter_nothing(),
            },
        }
    }

    pub(super) fn revocation(&self, issued_before: Option<WallTime>, now: Now) -> Revocation {
        let latest = now.wall.after(LONGEST_AHEAD);
        let issued_before = issued_before.unwrap_or(now.wall).min(latest);
        let longest_tier = self.tiers.last().map(|tier| tier.spec.max_ttl);
        let longest = longest_tier.unwrap_or_default().max(SHORTEST_MEMORY);
        let ahead = now.wall.until(issued_before);
        Revocation {
            issued_before,
            until: now.boot.after(ahead + longest),
        }
    }
}
