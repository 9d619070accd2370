//! Revoking credentials.

use std::time::Duration;

use crate::{
    cache::{
        Cache,
        sweep::{Selection, Sweep},
    },
    change_log::{
        fences::Revocation,
        log::{CurrentEntry, PendingChange},
    },
    counters::Count,
    leases::token::MAX_LEASE,
    model::{
        invalidation::{Invalidation, OwnedTarget},
        name::{Key, Name},
        outcome::Invalidated,
        revision::Revision,
        time::{Now, WallTime},
    },
};

/// How far ahead of the wall clock `issued_before` may be: what clocks differ
/// by, and no more, for it is held against every namespace if memory is short.
pub const MAX_CLOCK_AHEAD: Duration = Duration::from_secs(300);

/// How long an invalidation is remembered at least, even where every tier is
/// shorter. What is left of it afterwards refuses by time of issue alone,
/// whatever the name: with less, a token that is issued for an hour and put
/// again every minute would be refused for other keys' invalidations.
pub const MIN_FENCE_MEMORY: Duration = Duration::from_secs(12 * 3600);

const _: () = assert!(MIN_FENCE_MEMORY.as_nanos() > MAX_LEASE.as_nanos());

impl Cache {
    /// Removes what the invalidation covers. Once the method returns, no Get finds a
    /// covered credential whose version is below the answered revision, and no Put
    /// stores one under a lease granted before, or one issued at or before
    /// `issued_before`. From its revision on, whatever decides by what a key holds
    /// takes a covered credential of a lower version for removed.
    ///
    /// With `if_version`, nothing happens unless the key holds just that version.
    ///
    /// A large removal takes a fifth of a second for each 100,000 credentials; Gets
    /// go on throughout, and Puts between its steps.
    pub fn invalidate(&self, invalidation: impl Into<Invalidation>, now: Now) -> Invalidated {
        self.begin_invalidation(invalidation, now).finish()
    }

    /// Begins to do what [`invalidate`](Self::invalidate) does. The invalidation of
    /// one key is complete when this method returns.
    pub fn begin_invalidation(&self, invalidation: impl Into<Invalidation>, now: Now) -> Sweep<'_> {
        let invalidation = invalidation.into();
        self.namespaces.tally(invalidation.namespace(), |tally| {
            tally.add(Count::Invalidations)
        });
        let revocation = self.revocation(invalidation.issued_before, now);
        if let (OwnedTarget::Key(key), Some(version)) =
            (&invalidation.target, invalidation.if_version)
        {
            let name = Name {
                namespace: invalidation.namespace(),
                key: Key::known(key),
            };
            let invalidated = self.invalidate_version(name, version, revocation, now);
            return Sweep::done(self, invalidated, now);
        }
        // Before any stripe is looked at: a Put that isn't in the index by then
        // takes a higher revision.
        let entered = self.change_log.commit_invalidation(
            invalidation.namespace(),
            invalidation.target.clone(),
            revocation,
        );
        let Some(record) = self.namespaces.find(invalidation.namespace()) else {
            return Sweep::done(self, entered.publish(), now);
        };
        let selection = match &invalidation.target {
            OwnedTarget::Key(key) => {
                let name = Name {
                    namespace: invalidation.namespace(),
                    key: Key::known(key),
                };
                let counted = self.remove_key(record.id, name, &entered, now);
                let mut invalidated = entered.publish();
                invalidated.removed += counted;
                return Sweep::done(self, invalidated, now);
            }
            OwnedTarget::Prefix(prefix) => Selection::Prefix(record.id, prefix.clone()),
            OwnedTarget::Tag(tag) => Selection::Tag(record.id, tag.clone()),
            OwnedTarget::All => Selection::Prefix(record.id, "".into()),
        };
        Sweep::new(self, selection, entered, now)
    }

    fn remove_key(
        &self,
        namespace: u64,
        name: Name<'_>,
        entered: &PendingChange<'_>,
        now: Now,
    ) -> u64 {
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
                revision: self.change_log.skip_revision(),
            };
        };
        let current = CurrentEntry::at(&entry, now);
        let entered = self
            .change_log
            .commit_version_invalidation(name, current, revocation);
        let was_live = self.take_out(&mut stripe, &entry, now);
        drop(stripe);
        match entered {
            Some(entered) => Invalidated {
                removed: was_live.into(),
                revision: entered.publish().revision,
            },
            // That one counts it.
            None => Invalidated {
                removed: 0,
                revision: self.change_log.skip_revision(),
            },
        }
    }

    pub(crate) fn revocation(&self, issued_before: Option<WallTime>, now: Now) -> Revocation {
        let latest = now.wall.after(MAX_CLOCK_AHEAD);
        let issued_before = issued_before.unwrap_or(now.wall).min(latest);
        let longest_tier = self.tiers.last().map(|tier| tier.spec.max_ttl);
        let longest = longest_tier.unwrap_or_default().max(MIN_FENCE_MEMORY);
        let ahead = now.wall.until(issued_before);
        Revocation {
            issued_before,
            until: now.boot.after(ahead + longest),
        }
    }
}
