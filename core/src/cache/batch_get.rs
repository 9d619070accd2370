//! Batch lookups, which read entries in place.
//!
//! A batch copies credentials before it judges them, because it reads the clocks only once, after
//! everything was found. So nothing that was read may be used before [`BatchRead::judge`] has
//! accepted the whole batch.

use std::{
    hash::{BuildHasher, Hasher},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use crate::{
    cache::{
        Cache,
        get::{Miss, check_ttl},
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

/// The entries that a batch has read, before they are judged.
#[derive(Debug)]
#[must_use = "what was read counts only once it is judged"]
pub struct BatchRead<'a> {
    cache: &'a Cache,
    namespace: NamespaceName<'a>,
    /// The namespace's record, if there was one at the beginning.
    record: Option<Arc<NamespaceRecord>>,
    min_ttl: Duration,
    /// The deadlines of the entries that were found, in order.
    deadlines: Vec<Deadline>,
    hits: [u32; MAX_TIERS],
    misses: Vec<Count>,
}

/// A batch of keys to look up.
#[derive(Clone, Copy, Debug)]
pub struct BatchGet<'a> {
    /// The namespace of the keys.
    pub namespace: NamespaceName<'a>,
    /// The bytes of the keys, which may be invalid.
    pub keys: &'a [&'a [u8]],
    /// The least remaining lifetime of a hit.
    pub min_ttl: Duration,
    /// An earlier reading of the clocks, if there is one. An entry that had expired by then, or had
    /// less than `min_ttl` left, is reported as a miss at once.
    pub earlier: Option<Now>,
}

/// A stored credential that wasn't judged yet.
#[derive(Clone, Copy)]
pub struct EntryView<'a>(&'a Entry);

/// The most bytes of a value that are copied while a shard is locked. This takes about a
/// microsecond and covers most credentials. A larger value is kept alive and copied after the shard
/// is unlocked.
const IN_PLACE: usize = 4096;
/// The most bytes of value and attributes that a [`Reader`] receives while a shard is locked.
pub const MAX_IN_PLACE: usize = IN_PLACE + attributes::MAX_ENCODED;

/// Receives the results of a batch, in the order of its keys.
pub trait Reader {
    /// Makes room for up to [`MAX_IN_PLACE`] bytes of value and attributes. No lock is held during
    /// this call.
    fn make_room(&mut self);

    /// Receives the result for one key. A shard may be locked and Puts may be waiting for it, so
    /// the method must be short and must not call the cache. The result must not be used before the
    /// batch is judged. `Break` ends the batch.
    fn read(&mut self, found: Result<EntryView<'_>, Miss>) -> ControlFlow<()>;
}

/// The result of [`BatchRead::judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that was read may be returned. It was counted.
    Valid,
    /// At least one entry has expired, or has less than `min_ttl` left.
    Expired,
    /// All entries are live, but the wall clock has stepped back, so an expiry other than the one
    /// that was read must be reported.
    ClockStepped,
}

impl Cache {
    /// Looks up a batch of keys, and passes each result to `reader`. The results don't count until
    /// [`BatchRead::judge`] has accepted them. Returns `None` if some bytes aren't a valid key, or
    /// if the reader breaks.
    pub fn batch_get<'a>(
        &'a self,
        request: BatchGet<'a>,
        now: impl Fn() -> Now,
        reader: &mut impl Reader,
    ) -> Option<BatchRead<'a>> {
        let BatchGet {
            namespace,
            keys,
            min_ttl,
            earlier,
        } = request;
        let record = self.namespaces.find(namespace);
        let namespace_bytes = namespace.as_str().as_bytes();
        let mut namespace_hasher = self.hasher.build_hasher();
        entry::hash_namespace(&mut namespace_hasher, namespace_bytes);
        let hash = |key: &&[u8]| {
            let mut hasher = namespace_hasher.clone();
            entry::hash_key(&mut hasher, key);
            hasher.finish()
        };
        // All hints are read first, so that their memory accesses overlap.
        let hints: Vec<_> = keys
            .iter()
            .map(hash)
            .map(|hash| (hash, self.tier_hints.tier(hash)))
            .collect();
        let mut batch = BatchRead {
            cache: self,
            record: record.clone(),
            namespace,
            min_ttl,
            deadlines: Vec::with_capacity(keys.len()),
            hits: [0; MAX_TIERS],
            misses: Vec::new(),
        };
        for (key, (hash, hinted)) in keys.iter().zip(hints) {
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
                Ok(batch.accept(entry, earlier, reader))
            });
            match found {
                Some(Ok(flow)) => flow,
                Some(Err(entry)) => batch.accept(&entry, earlier, reader),
                None => {
                    let name = Name {
                        namespace,
                        key: Key::of_bytes(key)?,
                    };
                    let miss = self.explain_miss(hash, name, &now);
                    batch.misses.push(miss.reason.count());
                    reader.read(Err(miss))
                }
            }
            .continue_value()?;
        }
        Some(batch)
    }
}

impl BatchRead<'_> {
    #[inline(always)]
    fn accept(
        &mut self,
        entry: &Entry,
        earlier: Option<Now>,
        reader: &mut impl Reader,
    ) -> ControlFlow<()> {
        let deadline = entry.deadline();
        if let Some(earlier) = earlier
            && let Err(reason) = check_ttl(deadline, self.min_ttl, earlier)
        {
            self.misses.push(reason.count());
            return reader.read(Err(reason.into()));
        }
        self.deadlines.push(deadline);
        self.hits[entry.tier().index()] += 1;
        reader.read(Ok(EntryView(entry)))
    }

    /// Judges the batch. Only if every entry is a hit at `now`, and its expiry is the one that was
    /// read, the batch is counted and [`Verdict::Valid`] is returned. `report_ttl` is called with
    /// the remaining lifetime of each entry, in order.
    ///
    /// `now` must be read after the last lookup.
    pub fn judge(self, now: Now, mut report_ttl: impl FnMut(Duration)) -> Verdict {
        for deadline in &self.deadlines {
            let Ok(left) = check_ttl(*deadline, self.min_ttl, now) else {
                return Verdict::Expired;
            };
            if deadline.reported_expiry(now) != deadline.wall() {
                return Verdict::ClockStepped;
            }
            report_ttl(left);
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
    /// The secret value.
    #[must_use]
    pub fn value(self) -> &'a [u8] {
        self.0.value()
    }

    /// When the credential expires, by the wall clock.
    #[must_use]
    pub fn expires_at(self) -> WallTime {
        self.0.deadline().wall()
    }

    /// When the credential should be refreshed, by the wall clock.
    #[must_use]
    pub fn refresh_at(self) -> WallTime {
        self.expires_at().before(self.0.refresh_lead())
    }

    /// The version: the revision of the Put that stored the credential.
    #[must_use]
    pub fn version(self) -> Revision {
        self.0.version()
    }

    /// The tier that holds the credential.
    #[must_use]
    pub fn tier(self) -> TierId {
        self.0.tier()
    }

    /// The attributes that the Put attached.
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
