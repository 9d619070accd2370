//! Revoking credentials.

use std::time::Duration;

use super::{
    Cache,
    counters::Count,
    ledger::Revocation,
    name::{Key, KeyPrefix, Name, NamespaceName, Tag},
    remove::Removed,
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
    /// `issued_before` for as long as it could live.
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
                let removed = self.remove_key(record.id, name, revision, now).live;
                return Sweep::done(self, Invalidated { removed, revision }, now);
            }
            Target::Prefix(prefix) => Selection::Prefix(record.id, prefix.as_str()),
            Target::Tag(tag) => Selection::Tag(record.id, tag.as_str()),
            Target::All => Selection::Prefix(record.id, ""),
        };
        Sweep::new(self, selection, entered, now)
    }

    fn remove_key(&self, namespace: u64, name: Name<'_>, before: Revision, now: Now) -> Removed {
        let stripe = self.stripe(self.hash(name));
        self.remove(stripe, now, |index| {
            let current = index.named(namespace, name.key.as_str());
            let matching = current.filter(|entry| entry.version() < before);
            matching.cloned().into_iter().collect()
        })
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
        let mut entered = None;
        let stripe = self.stripe(self.hash(name));
        let removed = self.remove(stripe, now, |index| {
            let current = record.and_then(|record| index.named(record.id, name.key.as_str()));
            let Some(entry) = current.filter(|entry| entry.version() == version) else {
                return Vec::new();
            };
            let target = Target::Key {
                key: name.key,
                if_version: None,
            };
            let ledger = &self.ledger;
            entered = Some(ledger.enter_invalidation(name.namespace, target, revocation));
            vec![entry.clone()]
        });
        let revision = match &entered {
            Some(entered) => entered.revision(),
            None => self.ledger.enter_nothing(),
        };
        Invalidated {
            removed: removed.live,
            revision,
        }
    }

    pub(super) fn revocation(&self, issued_before: Option<WallTime>, now: Now) -> Revocation {
        let latest = now.wall.after(LONGEST_AHEAD);
        let issued_before = issued_before.unwrap_or(now.wall).min(latest);
        let longest_tier = self.tiers.last().map(|tier| tier.spec.max_ttl);
        // A lease may outlive every tier, and is filled at its end.
        let longest = longest_tier.unwrap_or_default().max(LONGEST_LEASE);
        let ahead = now.wall.until(issued_before);
        Revocation {
            issued_before,
            until: now.boot.after(ahead + longest),
        }
    }
}
