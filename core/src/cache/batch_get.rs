//! Several Gets of a namespace at once, read in place.
//!
//! What a Get copies of a credential it copies before it is judged: the clocks
//! are read once, when all have been found. So nothing that was read counts until
//! [`BatchRead::judge`] has said that all of it does.

use std::{
    hash::{BuildHasher, Hasher},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use crate::{
    cache::{
        Cache,
        get::{Miss, left},
    },
    counters::{Count, Tally},
    model::{
        attributes::{self, AttributesRef},
        limits::MAX_TIERS,
        name::{Key, Name, NamespaceName},
        revision::Revision,
        tags::Tags,
        tier_spec::TierId,
        time::{Deadline, Now, WallTime},
    },
    store::{
        entry::{self, Entry, LookupKey},
        namespaces::NamespaceRecord,
    },
};

/// Gets of which nothing is known until they are judged.
#[derive(Debug)]
#[must_use = "what was read counts only once it is judged"]
pub struct BatchRead<'a> {
    cache: &'a Cache,
    namespace: NamespaceName<'a>,
    /// The namespace's, if it had one at the beginning.
    record: Option<Arc<NamespaceRecord>>,
    min_ttl: Duration,
    /// Of what was found, in order.
    deadlines: Vec<Deadline>,
    hits: [u32; MAX_TIERS],
    misses: Vec<Count>,
}

/// What several Gets look for.
#[derive(Clone, Copy, Debug)]
pub struct BatchGet<'a> {
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
pub struct EntryView<'a>(&'a Entry);

/// What is copied while a shard is locked: a microsecond's worth, and more than
/// most credentials have. Larger values are kept alive and copied afterwards.
const IN_PLACE: usize = 4096;
/// The most bytes of value and attributes that are read in place.
pub const MAX_IN_PLACE: usize = IN_PLACE + attributes::MAX_ENCODED;

/// Takes what several Gets find.
pub trait Reader {
    /// Gets ready for up to [`MAX_IN_PLACE`] bytes of value and attributes. Holds
    /// nobody up.
    fn make_room(&mut self);

    /// Takes what one finds. Must be short and not come back to the cache, for Puts
    /// may be waiting; and not rely on it before it is judged.
    fn read(&mut self, found: Result<EntryView<'_>, Miss>) -> ControlFlow<()>;
}

/// What a judgement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that was seen may be told. It has been counted.
    Valid,
    /// Something has ended, or has less left than was asked.
    Expired,
    /// All is good, and what was seen isn't what is to be told of it: the wall
    /// clock has stepped back.
    ClockStepped,
}

impl Cache {
    /// Looks several up, and hands what there is to the reader, one after the
    /// other. `None` if bytes are no key, or the reader doesn't go on.
    pub fn batch_get<'a>(
        &'a self,
        sought: BatchGet<'a>,
        now: impl Fn() -> Now,
        reader: &mut impl Reader,
    ) -> Option<BatchRead<'a>> {
        let BatchGet {
            namespace,
            keys,
            min_ttl,
            earlier,
        } = sought;
        let record = self.namespaces.find(namespace);
        let namespace_bytes = namespace.as_str().as_bytes();
        let mut of_namespace = self.hasher.build_hasher();
        entry::hash_namespace(&mut of_namespace, namespace_bytes);
        let hash = |key: &&[u8]| {
            let mut hasher = of_namespace.clone();
            entry::hash_key(&mut hasher, key);
            hasher.finish()
        };
        // All hints first: looking them up then overlaps, where memory is slow.
        let places: Vec<_> = keys
            .iter()
            .map(hash)
            .map(|hash| (hash, self.tier_hints.tier(hash)))
            .collect();
        let mut reading = BatchRead {
            cache: self,
            record: record.clone(),
            namespace,
            min_ttl,
            deadlines: Vec::with_capacity(keys.len()),
            hits: [0; MAX_TIERS],
            misses: Vec::new(),
        };
        for (key, (hash, hinted)) in keys.iter().zip(places) {
            reader.make_room();
            let name = LookupKey {
                namespace: namespace_bytes,
                key,
                record: record.as_deref(),
            };
            let found = self.read(hash, hinted, &name, |entry| {
                if entry.value().len() > IN_PLACE {
                    return Err(entry.clone());
                }
                Ok(reading.see(entry, earlier, reader))
            });
            match found {
                Some(Ok(seen)) => seen,
                Some(Err(entry)) => reading.see(&entry, earlier, reader),
                None => {
                    let name = Name {
                        namespace,
                        key: Key::of_bytes(key)?,
                    };
                    let miss = self.why_not(hash, name, &now);
                    reading.misses.push(miss.reason.count());
                    reader.read(Err(miss))
                }
            }
            .continue_value()?;
        }
        Some(reading)
    }
}

impl BatchRead<'_> {
    #[inline(always)]
    fn see(
        &mut self,
        entry: &Entry,
        earlier: Option<Now>,
        reader: &mut impl Reader,
    ) -> ControlFlow<()> {
        let deadline = entry.deadline();
        if let Some(earlier) = earlier
            && let Err(reason) = left(deadline, self.min_ttl, earlier)
        {
            self.misses.push(reason.count());
            return reader.read(Err(reason.into()));
        }
        self.deadlines.push(deadline);
        self.hits[entry.tier().index()] += 1;
        reader.read(Ok(EntryView(entry)))
    }

    /// Whether all that was seen is a hit at `now`, told as it was seen. Then, and
    /// only then, all is counted. `tell` is told of what was seen, in order, what
    /// is left of its lifetime.
    ///
    /// `now` must be read after the last one was looked up.
    pub fn judge(self, now: Now, mut tell: impl FnMut(Duration)) -> Verdict {
        for deadline in &self.deadlines {
            let Ok(left) = left(*deadline, self.min_ttl, now) else {
                return Verdict::Expired;
            };
            if deadline.reported_expiry(now) != deadline.wall() {
                return Verdict::ClockStepped;
            }
            tell(left);
        }
        let count = |tally: &Tally| {
            for ((tier, _), hits) in self.cache.tiers().zip(self.hits) {
                if hits > 0 {
                    tally.add_hits(tier, hits.into());
                }
            }
            for miss in &self.misses {
                tally.add(*miss);
            }
        };
        match &self.record {
            Some(record) => count(&record.tally),
            None => self.cache.namespaces.tally(self.namespace, count),
        }
        Verdict::Valid
    }
}

impl<'a> EntryView<'a> {
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

    /// The tags of the Put.
    #[must_use]
    pub fn tags(self) -> &'a Tags {
        self.0.labels().tags()
    }
}
