//! Puts, with and without evidence against a revocation.

mod stated;

use credcache_core::{Attributes, Contents, Count, LeaseLost, Put, PutError, Stored, Tag, Tags};

use super::Episode;
use crate::{
    clocks::{SECOND, nanos, wall},
    figures::Figures,
    names::TAGS,
    reference::{Evidence, Held, Judgement, Known, LeaseEnd, Reference, lead, route},
    seen::Event,
    shape::{MAX_VALUE, TIERS},
};
use stated::Stated;

/// How long the answer to a fill is remembered, in nanoseconds.
const FILL_REMEMBERED: u64 = 60 * SECOND;

/// The expected answer.
enum Expected {
    Refused(PutError),
    ByFences(Judgement),
    /// The same answer as before or, if that may be forgotten, this refusal.
    Again(Stored, Option<PutError>),
    /// The lease may be forgotten. If it isn't, this judgement applies.
    Perhaps(Judgement),
}

impl Episode<'_> {
    fn store(&mut self, stated: Stated) {
        let value = self.draw.value(MAX_VALUE);
        let tags = stated
            .tags
            .iter()
            .map(|tag| Tag::parse(TAGS[*tag]).expect("a tag"));
        let tier = stated.tier.map(|tier| self.cache.tier(TIERS[tier].0));
        let put = Put {
            name: stated.name.parsed(),
            contents: Contents {
                value: self.cache.limits().value(&value).expect("within the limit"),
                tags: Tags::new(tags).expect("few"),
                attributes: Attributes::default(),
            },
            lifetime: stated.lifetime,
            refresh_before: stated.refresh_before,
            tier: tier.map(|tier| tier.expect("a tier")),
            issued_at: stated.issued_at.map(wall),
            lease: stated.lease,
            precondition: stated.precondition,
        };
        let answer = self.cache.put(put, self.clocks.now());

        let name = stated.name;
        let revision = self.reference.revision;
        match answer {
            // A repeated answer, and a refusal that doesn't depend on the current entry.
            Ok(stored) if stored.version.number() <= revision => {}
            Err(PutError::NoLifetime) => {}
            _ => drop(self.claim(name)),
        }
        let held = self.reference.held.get(&name);
        let mut expected = self.expected(&stated, held);
        if !expected.allows(answer) && held.is_some() {
            expected = self.expected(&stated, None);
            if answer.is_err() {
                self.account_missing(name);
            }
        }
        assert!(expected.allows(answer), "{answer:?}");
        match (answer, &expected) {
            (Ok(_), Expected::Again(..)) => self.seen.add(Event::FilledAgain),
            (Ok(stored), _) => self.stored(stated, value, stored),
            (Err(refusal), _) => self.refused(&stated, refusal, &expected),
        }
    }

    fn expected(&self, stated: &Stated, held: Option<&Held>) -> Expected {
        let clocks = self.clocks;
        if route(stated.lifetime, stated.tier, self.shape.tiers, clocks).is_none() {
            return Expected::Refused(PutError::NoLifetime);
        }
        let leases = &self.reference.leases;
        let filled = stated
            .lease
            .and_then(|token| leases.fills.get(stated.name, token, clocks.boot));
        let checked = Reference::check(held, stated.precondition, clocks);
        match filled {
            Some(Known::Yes(stored)) => return Expected::Again(stored, None),
            Some(Known::Maybe(stored)) => {
                let refusal = checked.err().unwrap_or(LeaseLost.into());
                return Expected::Again(stored, Some(refusal));
            }
            None => {}
        }
        if let Err(refusal) = checked {
            return Expected::Refused(refusal);
        }
        let lease = stated
            .lease
            .map(|token| leases.current(stated.name, token, clocks.boot));
        if let Some(None) = lease {
            return Expected::Refused(LeaseLost.into());
        }
        let lease = lease.flatten();
        let evidence = Evidence {
            granted: lease.map(|known| known.value().granted),
            issued_at: stated.issued_at,
        };
        let fences = &self.reference.fences;
        let judgement = fences.judge(stated.name, &stated.tags, evidence);
        match lease {
            Some(Known::Maybe(_)) => Expected::Perhaps(judgement),
            _ => Expected::ByFences(judgement),
        }
    }

    fn stored(&mut self, stated: Stated, value: Vec<u8>, stored: Stored) {
        let name = stated.name;
        let (kept, tier) = route(stated.lifetime, stated.tier, self.shape.tiers, self.clocks)
            .expect("it was stored");
        let had_entry = self.reference.held.get(&name);
        let had = u64::from(had_entry.is_some());
        let figures = Figures::of(self.cache);
        let evicted = figures.evictions - self.figures.evictions;
        let replaced = self.figures.entries + 1 - evicted - figures.entries;
        let had_ended = had_entry.is_some_and(|held| !held.is_live(self.clocks));
        let ended = if had_ended { replaced } else { 0 };
        let expirations = figures.expirations - self.figures.expirations;
        assert_eq!(expirations, ended, "expirations");
        self.seen.add_times(Event::ReplacedExpired, ended);
        self.account_evictions(had - replaced);

        self.reference.revision += 1;
        let held = Held {
            version: self.reference.revision,
            value,
            tags: stated.tags,
            tier,
            wall_end: self.clocks.wall + kept,
            boot_end: self.clocks.boot + kept,
            lead: lead(kept, stated.refresh_before),
            covered: false,
        };
        assert_eq!(stored.version.number(), held.version);
        assert_eq!(stored.tier.index(), tier);
        assert_eq!(nanos(stored.expires_at.since_unix()), held.wall_end);
        self.seen.add(Event::Stored);
        let longest = nanos(TIERS[tier].1);
        self.seen
            .add_times(Event::CutToTier, u64::from(kept == longest));
        if let Some(old) = self.reference.store(name, held) {
            self.seen
                .add_times(Event::MovedTier, u64::from(old.tier != tier));
        }
        let Reference {
            leases, counted, ..
        } = &mut self.reference;
        counted.add(Count::Puts);
        if let Some(token) = stated.lease {
            let until = self.clocks.boot + FILL_REMEMBERED;
            leases.fills.remember(name, token, stored, until);
            if leases.lapsed.forget(name) {
                counted.add(Count::LeasesFilled);
                self.seen.add(Event::FilledLate);
            }
            leases.end(name, Count::LeasesFilled, LeaseEnd::Filled, counted);
            self.seen.add(Event::Filled);
        } else if leases.supersede(name, counted) {
            self.seen.add(Event::Superseded);
        }
    }

    fn refused(&mut self, stated: &Stated, refusal: PutError, expected: &Expected) {
        let grant = self.grant();
        let Reference {
            leases, counted, ..
        } = &mut self.reference;
        if refusal != PutError::NoLifetime {
            counted.add(Count::PutsRefused);
        }
        if refusal == PutError::Revoked && stated.lease.is_some() {
            let over = LeaseEnd::PassOn(grant);
            leases.end(stated.name, Count::LeasesRevoked, over, counted);
            self.seen.add(Event::LostInPut);
        }
        match expected {
            Expected::Again(..) => {
                leases.fills.forget(stated.name);
                self.seen.add(Event::FillForgotten);
            }
            Expected::Perhaps(_) if refusal == LeaseLost.into() => {
                leases.lapsed.forget(stated.name);
                self.seen.add(Event::LapsedForgotten);
            }
            _ => {}
        }
        self.seen.add(match (refusal, stated.issued_at) {
            (PutError::NoLifetime, _) => Event::NoLifetime,
            (PutError::Exists, _) => Event::Exists,
            (PutError::VersionDiffers, _) => Event::VersionDiffers,
            (PutError::LeaseLost(_), _) => Event::LeaseLost,
            (PutError::Revoked, _) if matches!(expected, Expected::ByFences(Judgement::Either)) => {
                Event::RefusedTooMuch
            }
            (PutError::Revoked, _)
                if matches!(expected, Expected::ByFences(Judgement::RefusedByAge)) =>
            {
                Event::RefusedByAge
            }
            (PutError::Revoked, None) => Event::RefusedByGrant,
            (PutError::Revoked, Some(_)) => Event::RefusedByIssue,
            (PutError::TooManyNamespaces, _) => unreachable!("there is room for all"),
        });
    }
}

impl Expected {
    fn allows(&self, answer: Result<Stored, PutError>) -> bool {
        match self {
            Self::Refused(expected) => answer == Err(*expected),
            Self::ByFences(judgement) => judgement.allows(answer),
            Self::Again(stored, None) => answer == Ok(*stored),
            Self::Again(stored, Some(refusal)) => answer == Ok(*stored) || answer == Err(*refusal),
            Self::Perhaps(judgement) => judgement.allows(answer) || answer == Err(LeaseLost.into()),
        }
    }
}

impl Judgement {
    fn allows(&self, answer: Result<Stored, PutError>) -> bool {
        match self {
            Self::Refused | Self::RefusedByAge => answer == Err(PutError::Revoked),
            Self::Accepted => answer.is_ok(),
            Self::Either => answer.is_ok() || answer == Err(PutError::Revoked),
        }
    }
}
