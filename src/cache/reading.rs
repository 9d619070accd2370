//! Several Gets of a namespace at once, read in place.
//!
//! What a Get copies of a credential it copies before it is judged: the clocks
//! are read once, when all have been found. So nothing that was read counts until
//! [`Reading::judge`] has said that all of it does.

use std::time::Duration;

use super::{
    Cache, MAX_TIERS,
    attributes::AttributesRef,
    counters::Count,
    entry::Entry,
    get::{Miss, left},
    name::{Key, Name, NamespaceName, Sought},
    revision::Revision,
    tier_spec::TierId,
    time::{Deadline, Now, WallTime},
};

/// Gets under way, of which nothing is known until they are judged.
#[derive(Debug)]
pub struct Reading<'a> {
    cache: &'a Cache,
    namespace: NamespaceName<'a>,
    min_ttl: Duration,
    earlier: Option<Now>,
    /// Of what was found, in order.
    deadlines: Vec<Deadline>,
    hits: [u32; MAX_TIERS],
    misses: Vec<Count>,
}

/// A stored credential, not judged yet.
#[derive(Clone, Copy)]
pub struct Seen<'a>(&'a Entry);

/// What is copied while a shard is locked: a microsecond's worth, and more than
/// most credentials have. Larger values are kept alive and copied afterwards.
const IN_PLACE: usize = 4096;

impl Cache {
    /// Begins to look names of a namespace up. What had ended at an `earlier` time,
    /// or had less than `min_ttl` left then, is missed at once.
    #[must_use]
    pub fn read_each<'a>(
        &'a self,
        namespace: NamespaceName<'a>,
        min_ttl: Duration,
        earlier: Option<Now>,
    ) -> Reading<'a> {
        Reading {
            cache: self,
            namespace,
            min_ttl,
            earlier,
            deadlines: Vec::new(),
            hits: [0; MAX_TIERS],
            misses: Vec::new(),
        }
    }
}

impl Reading<'_> {
    /// Looks one up, and hands what there is to `read`, which must be short and
    /// not come back to the cache: Puts may be waiting for it. `None` if these
    /// bytes are no key.
    #[inline]
    pub fn next<R>(
        &mut self,
        key: &[u8],
        now: impl FnOnce() -> Now,
        mut read: impl FnMut(Result<Seen<'_>, Miss>) -> R,
    ) -> Option<R> {
        let name = Sought {
            namespace: self.namespace.as_str().as_bytes(),
            key,
        };
        let hash = self.cache.hash(name);
        let seen = self.cache.read(hash, name, |entry| {
            if entry.value().len() > IN_PLACE {
                return Err(entry.clone());
            }
            Ok(see(entry, self.min_ttl, self.earlier, &mut read))
        });
        let seen = seen.map(|seen| {
            seen.unwrap_or_else(|entry| see(&entry, self.min_ttl, self.earlier, &mut read))
        });
        let (result, miss) = match seen {
            Some((result, Ok((deadline, tier)))) => {
                self.deadlines.push(deadline);
                self.hits[tier.index()] += 1;
                return Some(result);
            }
            Some((result, Err(miss))) => (result, miss),
            None => {
                let name = Name {
                    namespace: self.namespace,
                    key: Key::of_bytes(key)?,
                };
                let miss = self.cache.why_not(hash, name, now);
                (read(Err(miss)), miss)
            }
        };
        self.misses.push(miss.reason.count());
        Some(result)
    }

    /// Whether all that was seen is a hit at `now`, told as it was seen. Then, and
    /// only then, all is counted. `left` is told of what was seen, in order, what
    /// is left of its lifetime.
    ///
    /// `now` must be read after the last one was looked up.
    #[must_use]
    pub fn judge(self, now: Now, mut tell: impl FnMut(Duration)) -> bool {
        for deadline in &self.deadlines {
            match left(*deadline, self.min_ttl, now) {
                Ok(left) if deadline.told(now, left) == deadline.wall() => tell(left),
                _ => return false,
            }
        }
        self.cache.namespaces.tally(self.namespace, |tally| {
            for ((tier, _), hits) in self.cache.tiers().zip(self.hits) {
                if hits > 0 {
                    tally.add_hits(tier, hits.into());
                }
            }
            for miss in &self.misses {
                tally.add(*miss);
            }
        });
        true
    }
}

type Found = Result<(Deadline, TierId), Miss>;

fn see<R>(
    entry: &Entry,
    min_ttl: Duration,
    earlier: Option<Now>,
    read: &mut impl FnMut(Result<Seen<'_>, Miss>) -> R,
) -> (R, Found) {
    let deadline = entry.deadline();
    match earlier.map_or(Ok(Duration::ZERO), |earlier| {
        left(deadline, min_ttl, earlier)
    }) {
        Ok(_) => (read(Ok(Seen(entry))), Ok((deadline, entry.tier()))),
        Err(reason) => {
            let miss = Miss::from(reason);
            (read(Err(miss)), Err(miss))
        }
    }
}

impl<'a> Seen<'a> {
    /// The value.
    #[must_use]
    pub fn value(self) -> &'a [u8] {
        self.0.value()
    }

    /// When it ends, by the wall clock.
    #[must_use]
    pub fn expires_at(self) -> WallTime {
        self.0.deadline().wall()
    }

    /// When it should be fetched anew, by the wall clock.
    #[must_use]
    pub fn refresh_at(self) -> WallTime {
        self.expires_at().before(self.0.refresh_lead())
    }

    /// The revision of the Put that stored it.
    #[must_use]
    pub fn version(self) -> Revision {
        self.0.version()
    }

    /// The tier that holds it.
    #[must_use]
    pub fn tier(self) -> TierId {
        self.0.tier()
    }

    /// What the Put attached.
    #[must_use]
    pub fn attributes(self) -> AttributesRef<'a> {
        self.0.attributes()
    }
}
