//! Storing a credential, with evidence that it wasn't revoked and without.

mod stated;

use credcache::cache::{Attributes, Contents, Count, Put, PutError, Stored, Tag, Tags};

use super::Episode;
use crate::{
    clocks::{nanos, wall},
    figures::Figures,
    names::TAGS,
    reference::{Evidence, Held, Judgement, Over, Reference, lead, route},
    seen::Event,
    shape::{MAX_VALUE, TIERS},
};
use stated::Stated;

/// What is to be answered.
enum Expected {
    Refused(PutError),
    ByFences(Judgement),
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
        if answer != Err(PutError::NoLifetime) {
            self.claim(name);
        }
        let held = self.reference.held.get(&name);
        let mut expected = self.expected(&stated, held);
        if !expected.allows(answer) && held.is_some() {
            expected = self.expected(&stated, None);
            if answer.is_err() {
                self.notice_missing(name);
            }
        }
        assert!(expected.allows(answer), "{answer:?}");
        match answer {
            Ok(stored) => self.stored(stated, value, stored),
            Err(refusal) => self.refused(&stated, refusal, &expected),
        }
    }

    fn expected(&self, stated: &Stated, held: Option<&Held>) -> Expected {
        let clocks = self.clocks;
        if route(stated.lifetime, stated.tier, self.shape.tiers, clocks).is_none() {
            return Expected::Refused(PutError::NoLifetime);
        }
        if let Err(refusal) = Reference::check(held, stated.precondition, clocks) {
            return Expected::Refused(refusal);
        }
        let flights = &self.reference.flights;
        let lease = stated
            .lease
            .map(|token| flights.current(stated.name, token, clocks.boot));
        if let Some(None) = lease {
            return Expected::Refused(credcache::cache::LeaseLost.into());
        }
        let evidence = Evidence {
            granted: lease.flatten().map(|current| current.granted),
            issued_at: stated.issued_at,
        };
        let fences = &self.reference.fences;
        Expected::ByFences(fences.judge(stated.name, &stated.tags, evidence))
    }

    fn stored(&mut self, stated: Stated, value: Vec<u8>, stored: Stored) {
        let name = stated.name;
        let (kept, tier) = route(stated.lifetime, stated.tier, self.shape.tiers, self.clocks)
            .expect("it was stored");
        let had = u64::from(self.reference.held.contains_key(&name));
        let figures = Figures::of(self.cache);
        let pushed_out = figures.evictions - self.figures.evictions;
        let replaced = self.figures.entries + 1 - pushed_out - figures.entries;
        self.notice(had - replaced);

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
            flights, counted, ..
        } = &mut self.reference;
        counted.add(Count::Puts);
        if stated.lease.is_some() {
            flights.end(name, Count::LeasesFilled, Over::Filled, counted);
            self.seen.add(Event::Filled);
        } else {
            flights.tell(name);
        }
    }

    fn refused(&mut self, stated: &Stated, refusal: PutError, expected: &Expected) {
        let grant = self.grant();
        let Reference {
            flights, counted, ..
        } = &mut self.reference;
        if refusal != PutError::NoLifetime {
            counted.add(Count::PutsRefused);
        }
        if refusal == PutError::Revoked && stated.lease.is_some() {
            let over = Over::Next(grant);
            flights.end(stated.name, Count::LeasesRevoked, over, counted);
            self.seen.add(Event::LostInPut);
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
            Self::ByFences(judgement) => match judgement {
                Judgement::Refused | Judgement::RefusedByAge => answer == Err(PutError::Revoked),
                Judgement::Accepted => answer.is_ok(),
                Judgement::Either => answer.is_ok() || answer == Err(PutError::Revoked),
            },
        }
    }
}
