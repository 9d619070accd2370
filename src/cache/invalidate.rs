//! Revoking credentials.

use super::{
    Cache,
    counters::Count,
    name::{Key, KeyPrefix, Name, NamespaceName, Tag},
    revision::Revision,
    time::Now,
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
    /// credential whose version is below the answered revision.
    ///
    /// A large removal takes milliseconds, in steps between which Puts go on;
    /// Gets go on throughout.
    pub fn invalidate(
        &self,
        namespace: NamespaceName<'_>,
        target: Target<'_>,
        now: Now,
    ) -> Invalidated {
        self.namespaces
            .tally(namespace, |tally| tally.add(Count::Invalidations));
        // Before any stripe is looked at: a Put that isn't in the index by then
        // takes a higher one.
        let revision = self.revisions.next();
        let Some(record) = self.namespaces.find(namespace) else {
            return Invalidated {
                removed: 0,
                revision,
            };
        };
        let id = record.id;
        let removed = match target {
            Target::Key { key, if_version } => {
                let stripe = self.stripe(self.hash(Name { namespace, key }));
                self.remove(stripe, now, |index| {
                    let current = index.named(id, key.as_str());
                    let matching = current.filter(|entry| {
                        entry.version < revision
                            && if_version.is_none_or(|only| entry.version == only)
                    });
                    matching.cloned().into_iter().collect()
                })
            }
            Target::Prefix(prefix) => self.remove_everywhere(now, |index, after| {
                index.with_prefix(id, prefix.as_str(), revision, after)
            }),
            Target::Tag(tag) => {
                self.remove_everywhere(now, |index, _| index.tagged(id, tag.as_str(), revision))
            }
            Target::All => self.remove_everywhere(now, |index, after| {
                index.with_prefix(id, "", revision, after)
            }),
        };
        Invalidated {
            removed: removed.live,
            revision,
        }
    }
}
