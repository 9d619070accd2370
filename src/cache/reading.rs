//! Several Gets of a namespace at once, read in place.
//!
//! What a Get copies of a credential it copies before it is judged: the clocks
//! are read once, when all have been found. So nothing that was read counts until
//! [`Reading::judge`] has said that all of it does.

use std::{ops::ControlFlow, time::Duration};

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

/// Gets of which nothing is known until they are judged.
#[derive(Debug)]
#[must_use = "what was read counts only once it is judged"]
pub struct Reading<'a> {
    cache: &'a Cache,
    namespace: NamespaceName<'a>,
    min_ttl: Duration,
    /// Of what was found, in order.
    deadlines: Vec<Deadline>,
    hits: [u32; MAX_TIERS],
    misses: Vec<Count>,
}

/// What several Gets look for.
#[derive(Clone, Copy, Debug)]
pub struct ReadEach<'a> {
    /// Whose.
    pub namespace: NamespaceName<'a>,
    /// What may be keys.
    pub keys: &'a [&'a [u8]],
    /// How much lifetime must be left.
    pub min_ttl: Duration,
    /// A time before this, if one is known: what had ended then, or had less than
    /// `min_ttl` left, is missed at once.
    pub earlier: Option<Now>,
}

/// A stored credential, not judged yet.
#[derive(Clone, Copy)]
pub struct Seen<'a>(&'a Entry);

/// What is copied while a shard is locked: a microsecond's worth, and more than
/// most credentials have. Larger values are kept alive and copied afterwards.
const IN_PLACE: usize = 4096;

impl Cache {
    /// Looks several up, and hands what there is to `read`, one after the other.
    /// It must be short and not come back to the cache: Puts may be waiting for
    /// it. `None` if bytes are no key, or `read` doesn't go on.
    pub fn read_each<'a>(
        &'a self,
        sought: ReadEach<'a>,
        now: impl Fn() -> Now,
        mut read: impl FnMut(Result<Seen<'_>, Miss>) -> ControlFlow<()>,
    ) -> Option<Reading<'a>> {
        let ReadEach {
            namespace,
            keys,
            min_ttl,
            earlier,
        } = sought;
        let name = |key| Sought {
            namespace: namespace.as_str().as_bytes(),
            key,
        };
        // All hints first: looking them up then overlaps, where memory is slow.
        let places: Vec<_> = keys
            .iter()
            .map(|key| self.hash(name(key)))
            .map(|hash| (hash, self.hints.tier(hash)))
            .collect();
        let mut reading = Reading {
            cache: self,
            namespace,
            min_ttl,
            deadlines: Vec::with_capacity(keys.len()),
            hits: [0; MAX_TIERS],
            misses: Vec::new(),
        };
        for (key, (hash, hinted)) in keys.iter().zip(places) {
            let found = self.read(hash, hinted, name(key), |entry| {
                if entry.value().len() > IN_PLACE {
                    return Err(entry.clone());
                }
                Ok(reading.see(entry, earlier, &mut read))
            });
            match found {
                Some(Ok(seen)) => seen,
                Some(Err(entry)) => reading.see(&entry, earlier, &mut read),
                None => {
                    let name = Name {
                        namespace,
                        key: Key::of_bytes(key)?,
                    };
                    let miss = self.why_not(hash, name, &now);
                    reading.misses.push(miss.reason.count());
                    read(Err(miss))
                }
            }
            .continue_value()?;
        }
        Some(reading)
    }
}

impl Reading<'_> {
    #[inline(always)]
    fn see(
        &mut self,
        entry: &Entry,
        earlier: Option<Now>,
        read: &mut impl FnMut(Result<Seen<'_>, Miss>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let deadline = entry.deadline();
        if let Some(earlier) = earlier
            && let Err(reason) = left(deadline, self.min_ttl, earlier)
        {
            self.misses.push(reason.count());
            return read(Err(reason.into()));
        }
        self.deadlines.push(deadline);
        self.hits[entry.tier().index()] += 1;
        read(Ok(Seen(entry)))
    }

    /// Whether all that was seen is a hit at `now`, told as it was seen. Then, and
    /// only then, all is counted. `left` is told of what was seen, in order, what
    /// is left of its lifetime.
    ///
    /// `now` must be read after the last one was looked up.
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
