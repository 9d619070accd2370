//! One episode: random steps, and what must hold after each.

use std::time::Duration;

use credcache::cache::{
    Attributes, Cache, Contents, Count, Invalidate, Key, KeyPrefix, Lifetime, Limits, Lookup, Miss,
    MissReason, Name, NamespaceName, Precondition, Put, Revision, Tag, Tags, Target, TierCount,
    TierSpec, WallTime, smallest_capacity,
};
use fastrand::Rng;

use crate::{
    draw::Draw,
    figures::Figures,
    reference::{Clocks, Held, Reference, Selection, TIERS, nanos},
    seen::{Event, Seen},
};

const MAX_VALUE: usize = 256;
const SECOND: u64 = 1_000_000_000;

pub(crate) struct Episode {
    cache: Cache,
    reference: Reference,
    clocks: Clocks,
    draw: Draw,
    seed: u64,
    /// Whether the cache has room for everything.
    roomy: bool,
    /// Whether the wall clock steps by less than whole seconds. Reclaiming may
    /// then be up to a second late, so it is left out.
    fine_steps: bool,
    /// Pushed out by the cache, and found to be so.
    noticed: u64,
}

impl Episode {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let roomy = rng.bool();
        let fine_steps = rng.bool();
        let capacity = smallest_capacity(MAX_VALUE as u64) * if roomy { 64 } else { 1 };
        let specs = TIERS.map(|(name, max_ttl)| TierSpec {
            name: name.into(),
            max_ttl,
            capacity,
        });
        let limits = Limits {
            max_value: MAX_VALUE as u64,
            max_namespaces: 3,
            ..Limits::DEFAULT
        };
        Self {
            cache: Cache::new(specs.into(), limits).expect("valid tiers"),
            reference: Reference::default(),
            clocks: Clocks {
                wall: 1_700_000_000 * SECOND,
                boot: 1_000 * SECOND,
            },
            roomy,
            fine_steps,
            draw: Draw { rng, roomy },
            seed,
            noticed: 0,
        }
    }

    pub(crate) fn run(mut self, steps: u64, seen: &mut Seen) {
        for step in 0..steps {
            let what = self.draw.rng.u32(0..100);
            match what {
                0..45 => self.put(seen),
                45..85 => self.get(seen),
                85..87 => self.invalidate(seen),
                87..98 => self.pass_time(),
                _ if self.fine_steps => self.get(seen),
                _ => self.reclaim(seen),
            }
            self.check_figures(step);
        }
        seen.add(Event::PushedOut, Figures::of(&self.cache).evictions);
    }

    fn put(&mut self, seen: &mut Seen) {
        let name = self.draw.name();
        let value: Vec<u8> = (0..self.draw.rng.usize(0..=MAX_VALUE))
            .map(|_| self.draw.rng.u8(..))
            .collect();
        let tags: Vec<String> = (0..self.draw.rng.usize(0..3))
            .map(|_| self.draw.tag())
            .collect();
        let length = Duration::from_nanos(self.draw.lifetime());
        let lifetime = match self.draw.rng.u8(0..2) {
            0 => Lifetime::For(length),
            _ => Lifetime::Until(WallTime::from_unix(
                Duration::from_nanos(self.clocks.wall) + length,
            )),
        };
        let tier = self.draw.tier();
        let precondition = self.precondition(&name);

        let before = Figures::of(&self.cache);
        let contents = Contents {
            value: self.cache.limits().value(&value).expect("within the limit"),
            tags: Tags::new(tags.iter().map(|tag| Tag::parse(tag).expect("a tag"))).expect("few"),
            attributes: Attributes::default(),
        };
        let answer = self.cache.put(
            Put {
                name: parsed(&name),
                contents,
                lifetime,
                refresh_before: None,
                tier: tier.map(|tier| self.cache.tier(TIERS[tier].0).expect("a tier")),
                issued_at: None,
                lease: None,
                precondition,
            },
            self.clocks.now(),
        );
        let figures = Figures::of(&self.cache);

        let (kept, expected_tier) =
            Reference::route(lifetime, tier, self.clocks).expect("every length is above zero");
        let had = self.reference.held.contains_key(&name);
        match (
            answer,
            self.reference.check(&name, precondition, self.clocks),
        ) {
            (Ok(stored), expected) => {
                // The reference holds it, the cache had pushed it out.
                let replaced =
                    before.entries + 1 - (figures.evictions - before.evictions) - figures.entries;
                self.notice(u64::from(had) - replaced);
                assert!(
                    expected.is_ok() || (!self.roomy && replaced == 0),
                    "{}: {expected:?}",
                    self.seed
                );
                self.reference.revision += 1;
                let held = Held {
                    version: self.reference.revision,
                    value,
                    tags,
                    tier: expected_tier,
                    lifetime: kept,
                    wall_end: self.clocks.wall + kept,
                    boot_end: self.clocks.boot + kept,
                };
                assert_eq!(stored.version.number(), held.version, "{}", self.seed);
                assert_eq!(stored.tier.index(), held.tier, "{}", self.seed);
                assert_eq!(
                    nanos(stored.expires_at.since_unix()),
                    held.wall_end,
                    "{}",
                    self.seed
                );
                seen.add(Event::Stored, 1);
                seen.add(Event::CutToTier, u64::from(kept < nanos(length)));
                if let Some(old) = self.reference.held.insert(name, held) {
                    seen.add(Event::MovedTier, u64::from(old.tier != expected_tier));
                }
            }
            (Err(refusal), Err(expected)) => {
                assert_eq!(refusal, expected, "{}", self.seed);
                seen.add(Event::Refused, 1);
            }
            (Err(refusal), Ok(())) => {
                let pushed_out = matches!(precondition, Some(Precondition::Version(_)));
                assert!(!self.roomy && pushed_out, "{}: {refusal:?}", self.seed);
                self.reference.held.remove(&name);
                self.notice(1);
            }
        }
    }

    fn get(&mut self, seen: &mut Seen) {
        let name = self.draw.name();
        let min_ttl = if self.draw.rng.bool() {
            0
        } else {
            self.draw.length()
        };
        let answer = self
            .cache
            .get(parsed(&name), Duration::from_nanos(min_ttl), || {
                self.clocks.now()
            });
        let expected = self.reference.get(&name, min_ttl, self.clocks);
        match (answer, expected) {
            (Lookup::Hit(hit), expected) => {
                let held =
                    expected.unwrap_or_else(|miss| panic!("{}: wrong hit, {miss:?}", self.seed));
                let left = held.left(self.clocks);
                let expires_at = nanos(hit.expires_at().since_unix());
                assert_eq!(hit.value().as_ref(), held.value, "{}", self.seed);
                assert_eq!(hit.version().number(), held.version, "{}", self.seed);
                assert_eq!(hit.tier().index(), held.tier, "{}", self.seed);
                assert_eq!(nanos(hit.ttl()), left, "{}", self.seed);
                assert!(expires_at <= held.wall_end, "{}: lengthened", self.seed);
                assert!(
                    expires_at <= self.clocks.wall + left + SECOND / 1000,
                    "{}: lengthened",
                    self.seed
                );
                let lead = expires_at - nanos(hit.refresh_at().since_unix());
                assert!(
                    lead <= held.lifetime / 2,
                    "{}: refresh before half",
                    self.seed
                );
                seen.add(Event::Hit, 1);
            }
            (
                Lookup::Miss(Miss {
                    reason: MissReason::NotFound,
                    ..
                }),
                Ok(_) | Err(MissReason::Expired | MissReason::TtlTooShort),
            ) => {
                assert!(!self.roomy, "{}: lost", self.seed);
                self.reference.held.remove(&name);
                self.notice(1);
            }
            (Lookup::Miss(miss), Err(expected)) => {
                let reason = match miss.reason {
                    MissReason::Revoked => MissReason::NotFound,
                    reason => reason,
                };
                assert_eq!(reason, expected, "{}", self.seed);
                let event = match reason {
                    MissReason::Expired => Event::Expired,
                    MissReason::TtlTooShort => Event::TooShort,
                    _ => Event::NotFound,
                };
                seen.add(event, 1);
            }
            (Lookup::Miss(reason), Ok(_)) => {
                panic!("{}: {reason:?} of a live credential", self.seed)
            }
        }
    }

    fn invalidate(&mut self, seen: &mut Seen) {
        let (namespace, key) = self.draw.name();
        let if_version = self
            .draw
            .rng
            .bool()
            .then(|| self.some_version(&(namespace.clone(), key.clone())));
        let (selection, if_version) = match self.draw.rng.u8(0..80) {
            0..32 => (Selection::Key(key), if_version),
            32..52 => (
                Selection::Prefix(key[..self.draw.rng.usize(1..=key.len())].into()),
                None,
            ),
            52..79 => (Selection::Tag(self.draw.tag()), None),
            _ => (Selection::All, None),
        };
        let target = match &selection {
            Selection::Key(key) => Target::Key {
                key: Key::parse(key).expect("a key"),
                if_version: if_version.and_then(Revision::from_wire),
            },
            Selection::Prefix(prefix) => {
                Target::Prefix(KeyPrefix::parse(prefix).expect("a prefix"))
            }
            Selection::Tag(tag) => Target::Tag(Tag::parse(tag).expect("a tag")),
            Selection::All => Target::All,
        };
        let before = Figures::of(&self.cache);
        let invalidate = Invalidate {
            namespace: NamespaceName::parse(&namespace).expect("a namespace"),
            target,
            issued_before: None,
        };
        let answer = self.cache.invalidate(invalidate, self.clocks.now());
        let expired = Figures::of(&self.cache).expirations - before.expirations;

        let (live, ended) =
            self.reference
                .invalidate(&namespace, &selection, if_version, self.clocks);
        self.reference.revision += 1;
        assert_eq!(
            answer.revision.number(),
            self.reference.revision,
            "{}",
            self.seed
        );
        assert!(
            answer.removed <= live && expired <= ended,
            "{}: removed too much",
            self.seed
        );
        self.notice(live - answer.removed + ended - expired);
        seen.add(Event::Invalidated, answer.removed);
    }

    fn reclaim(&mut self, seen: &mut Seen) {
        let reclaimed = self.cache.reclaim(self.clocks.now());
        let ended = self.reference.reclaim(self.clocks);
        assert!(
            reclaimed <= ended,
            "{}: reclaimed a live credential",
            self.seed
        );
        self.notice(ended - reclaimed);
        seen.add(Event::Reclaimed, reclaimed);
    }

    /// Lets time pass in one of the ways it does, often to the very edge of a
    /// lifetime.
    fn pass_time(&mut self) {
        let length = self.draw.length();
        let step = if self.fine_steps {
            length
        } else {
            length / SECOND * SECOND
        };
        match self.draw.rng.u8(0..10) {
            0 => self.clocks.wall += step,
            1 => self.clocks.wall -= step,
            2..8 => {
                self.clocks.wall += length / 4096;
                self.clocks.boot += length / 4096;
            }
            _ => {
                let name = self.draw.name();
                if let Some(held) = self.reference.held.get(&name) {
                    let edge = held
                        .left(self.clocks)
                        .saturating_sub(self.draw.rng.u64(0..2));
                    self.clocks.wall += edge;
                    self.clocks.boot += edge;
                }
            }
        }
    }

    fn check_figures(&self, step: u64) {
        let figures = Figures::of(&self.cache);
        let missing = self.reference.held.len() as u64 - figures.entries;
        assert_eq!(
            missing,
            figures.evictions - self.noticed,
            "seed {}, step {step}",
            self.seed
        );
        assert_eq!(
            self.cache.revision(),
            self.reference.revision,
            "seed {}, step {step}",
            self.seed
        );
        let counts = self.cache.counts(None);
        for (tier, spec) in self.cache.tiers() {
            assert!(
                counts.of_tier(tier, TierCount::UsedBytes) <= spec.capacity,
                "{}",
                self.seed
            );
        }
        assert!(
            !self.roomy || figures.evictions == 0,
            "{}: pushed out of a roomy cache",
            self.seed
        );
        assert!(counts.of(Count::Puts) >= figures.entries, "{}", self.seed);
    }

    fn notice(&mut self, pushed_out: u64) {
        assert!(
            !self.roomy || pushed_out == 0,
            "{}: lost from a roomy cache",
            self.seed
        );
        self.noticed += pushed_out;
    }

    fn some_version(&mut self, name: &(String, String)) -> u64 {
        match self.reference.held.get(name) {
            Some(held) if self.draw.rng.u8(0..4) > 0 => held.version,
            _ => self.draw.rng.u64(1..=self.reference.revision + 1),
        }
    }

    fn precondition(&mut self, name: &(String, String)) -> Option<Precondition> {
        match self.draw.rng.u8(0..10) {
            0 => Some(Precondition::Absent),
            1 => Revision::from_wire(self.some_version(name)).map(Precondition::Version),
            _ => None,
        }
    }
}

fn parsed((namespace, key): &(String, String)) -> Name<'_> {
    Name {
        namespace: NamespaceName::parse(namespace).expect("a namespace"),
        key: Key::parse(key).expect("a key"),
    }
}
