//! Batch lookups, owned or read in place. Both count like as many Gets.

use std::{ops::ControlFlow, time::Duration};

use credcache_core::{BatchGet, EntryView, Lookup, Miss, Now, Reader, Verdict};

use super::Episode;
use crate::{
    clocks::nanos,
    names::{self, Name},
    seen::Event,
};

/// The results that were read in place, to be checked after the verdict.
#[derive(Default)]
struct Collected {
    read: Vec<Result<Read, Miss>>,
    left: Vec<Duration>,
}

struct Read {
    value: Vec<u8>,
    version: u64,
    tier: usize,
    expires_at: u64,
}

impl Reader for Collected {
    fn make_room(&mut self) {}

    fn read(&mut self, found: Result<EntryView<'_>, Miss>) -> ControlFlow<()> {
        self.read.push(found.map(|seen| Read {
            value: seen.value().to_vec(),
            version: seen.version().number(),
            tier: seen.tier().index(),
            expires_at: nanos(seen.expires_at().since_unix()),
        }));
        ControlFlow::Continue(())
    }
}

impl Episode<'_> {
    pub(super) fn get_several(&mut self) {
        let (names, min_ttl) = self.several();
        let least = Duration::from_nanos(min_ttl);
        let parsed: Vec<_> = names.iter().map(|name| name.parsed()).collect();
        let clocks = self.clocks;
        let answers = self.cache.get_each(&parsed, least, || clocks.now());
        assert_eq!(answers.len(), names.len());
        for (name, answer) in names.into_iter().zip(answers) {
            self.check_lookup(name, min_ttl, answer);
        }
    }

    /// Reads as the fast path does: a second time if an entry had expired.
    pub(super) fn read_several(&mut self) {
        let (names, min_ttl) = self.several();
        let now = self.clocks.now();
        match self.read_in_place(&names, min_ttl, None) {
            Verdict::Expired => {
                let has_ended = |name: &Name| {
                    let held = self.reference.held.get(name);
                    held.is_some_and(|held| {
                        let left = held.left(self.clocks);
                        left == 0 || left < min_ttl
                    })
                };
                assert!(names.iter().any(has_ended), "nothing has ended");
                self.seen.add(Event::ReadAgain);
                let again = self.read_in_place(&names, min_ttl, Some(now));
                assert_ne!(again, Verdict::Expired, "a second time");
            }
            Verdict::Valid | Verdict::ClockStepped => {}
        }
    }

    /// Reads and judges. A valid read is checked, and was counted.
    fn read_in_place(&mut self, names: &[Name], min_ttl: u64, earlier: Option<Now>) -> Verdict {
        let mut collected = Collected::default();
        let mut left = Vec::new();
        let keys: Vec<_> = names
            .iter()
            .map(|name| names::key(name.key).as_bytes())
            .collect();
        let sought = BatchGet {
            namespace: names::namespace(names[0].namespace),
            keys: &keys,
            min_ttl: Duration::from_nanos(min_ttl),
            earlier,
        };
        let clocks = self.clocks;
        let reading = self
            .cache
            .batch_get(sought, || clocks.now(), &mut collected);
        let reading = reading.expect("they are keys, and the reader goes on");
        let verdict = reading.judge(clocks.now(), |one| left.push(one));
        collected.left = left;
        match verdict {
            Verdict::Valid => {
                self.seen.add(Event::ReadInPlace);
                self.check_collected(names, min_ttl, collected);
            }
            Verdict::ClockStepped => self.seen.add(Event::ClockStepped),
            Verdict::Expired => {}
        }
        verdict
    }

    fn check_collected(&mut self, names: &[Name], min_ttl: u64, collected: Collected) {
        let mut left = collected.left.into_iter();
        assert_eq!(collected.read.len(), names.len());
        for (name, read) in names.iter().zip(collected.read) {
            let read = match read {
                Ok(read) => read,
                Err(miss) => {
                    self.check_miss(*name, min_ttl, miss);
                    continue;
                }
            };
            let held = self.reference.look(*name, min_ttl, self.clocks);
            let held = held.expect("a hit");
            assert_eq!(read.value, held.value);
            assert_eq!((read.version, read.tier), (held.version, held.tier));
            assert_eq!(read.expires_at, held.wall_end);
            let left = left.next().map(nanos);
            assert_eq!(left, Some(held.left(self.clocks)));
            self.count_hit(read.tier);
        }
        assert_eq!(left.next(), None, "told of more than was read");
    }

    fn check_lookup(&mut self, name: Name, min_ttl: u64, answer: Lookup) {
        match answer {
            Lookup::Hit(hit) => {
                self.check_hit(name, min_ttl, &hit);
                self.count_hit(hit.view().tier().index());
            }
            Lookup::Miss(miss) => self.check_miss(name, min_ttl, miss),
        }
    }

    /// A few names of one namespace, one of them twice now and then.
    fn several(&mut self) -> (Vec<Name>, u64) {
        let first = self.draw.name();
        let more = self.draw.rng.usize(0..4);
        let mut names = vec![first];
        for _ in 0..more {
            let Name { key, .. } = self.draw.name();
            names.push(Name { key, ..first });
        }
        (names, self.min_ttl(first))
    }
}
