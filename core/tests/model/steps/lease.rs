//! Queries for leases.

mod holding;

use std::time::Duration;

use credcache_core::{Count, LeaseAnswer, LeaseError, LeaseQuery, Lookup, MissReason, Token};

use super::{Episode, waiting::Parked};
use crate::{
    figures::Figures,
    names::Name,
    reference::{Evidence, Joined, Judgement, LeaseEnd, Query, Reference},
    seen::Event,
};

/// How many tokens of leases that may have ended are kept for later use.
const TOKENS: usize = 64;

impl Episode<'_> {
    pub(super) fn ask(&mut self) {
        let name = self.leased_name();
        let min_ttl = self.min_ttl(name);
        let request = (!self.draw.once_in(6)).then(|| self.draw.lease_request());
        let wait = self.draw.rng.bool();
        self.get_or_lease(name, min_ttl, Query { request, wait });
    }

    fn get_or_lease(&mut self, name: Name, min_ttl: u64, query: Query) {
        let ask = LeaseQuery {
            min_ttl: Duration::from_nanos(min_ttl),
            lease: query.request,
            wait: query.wait,
        };
        let now = || self.clocks.now();
        let answer = self.cache.get_or_lease(name.parsed(), ask, now);

        if let Ok(LeaseAnswer::Ready(_, Some(_))) = answer {
            self.claim(name);
        }
        let hit = match &answer {
            Ok(LeaseAnswer::Ready(Lookup::Hit(hit), _)) => Some(self.check_hit(name, min_ttl, hit)),
            _ => {
                if self.reference.look(name, min_ttl, self.clocks).is_ok() {
                    self.account_missing(name);
                }
                None
            }
        };
        let is_wanted = hit.is_none_or(|is_due| is_due && query.request.is_some());
        let joined = if is_wanted {
            self.settle(name);
            let query = Query {
                wait: query.wait && hit.is_none(),
                ..query
            };
            self.join(name, query)
        } else {
            Joined::Nothing
        };
        self.check_answer(name, min_ttl, ask, answer, joined);
    }

    /// Ends the name's lease or cool-down if it is due.
    fn settle(&mut self, name: Name) {
        let boot = self.clocks.boot;
        let Some((current, due)) = self.reference.leases.lease(name) else {
            if self.reference.leases.end_cool_down(name, boot) {
                self.seen.add(Event::CoolDownEnded);
            }
            return;
        };
        let why = if due <= boot {
            self.seen.add(Event::RanOut);
            Count::LeasesExpired
        } else if self.is_lost(name, current.granted) {
            self.seen.add(Event::LostToInvalidation);
            Count::LeasesRevoked
        } else {
            return;
        };
        let over = LeaseEnd::PassOn(self.grant());
        let Reference {
            leases, counted, ..
        } = &mut self.reference;
        leases.end(name, why, over, counted);
    }

    /// Whether every Put under a lease granted at this revision would be refused. If the model
    /// isn't certain, the cache's answer decides.
    fn is_lost(&self, name: Name, granted: u64) -> bool {
        let evidence = Evidence {
            granted: Some(granted),
            issued_at: None,
        };
        match self.reference.fences.judge(name, &[], evidence) {
            Judgement::Refused | Judgement::RefusedByAge => true,
            Judgement::Accepted => false,
            Judgement::Either => {
                let before = self.figures.count(Count::LeasesRevoked);
                Figures::of(self.cache).count(Count::LeasesRevoked) > before
            }
        }
    }

    fn join(&mut self, name: Name, query: Query) -> Joined {
        let grant = self.grant();
        let Reference {
            leases, counted, ..
        } = &mut self.reference;
        leases.join(name, query, self.clocks.boot, grant, counted)
    }
}

impl<'a> Episode<'a> {
    fn check_answer(
        &mut self,
        name: Name,
        min_ttl: u64,
        ask: LeaseQuery,
        answer: Result<LeaseAnswer<'a>, LeaseError>,
        joined: Joined,
    ) {
        let (found, lease) = match answer {
            Ok(LeaseAnswer::Ready(found, lease)) => (found, lease),
            Ok(LeaseAnswer::Waits(waiting)) => {
                let Joined::Waits(id) = joined else {
                    panic!("there is nothing to wait for");
                };
                self.parked.insert(id, Parked::new(waiting));
                self.seen.add(Event::Waits);
                return;
            }
            Err(error) => {
                assert!(matches!(joined, Joined::TooManyLeases), "{error:?}");
                assert_eq!(error, LeaseError::TooManyLeases);
                self.seen.add(Event::TooManyLeases);
                return;
            }
        };
        if let Joined::Granted = joined {
            let lease = lease.expect("the lease is free");
            let request = ask.lease.expect("it was requested");
            assert_eq!(lease, self.grant().lease(request));
            self.keep_token(name, lease.token);
            self.seen.add(Event::Granted);
        } else {
            assert_eq!(lease, None, "the lease isn't free");
        }
        match found {
            Lookup::Hit(hit) => {
                self.count_hit(hit.view().tier().index());
                assert!(!matches!(joined, Joined::Waits(_)));
                if let Joined::Granted = joined {
                    self.seen.add(Event::GrantedOnHit);
                }
            }
            Lookup::Miss(miss) => {
                self.reference.count_miss(miss.reason);
                match joined {
                    Joined::Busy { left } => {
                        if ask.wait {
                            self.seen.add(Event::NoRoomToWait);
                        }
                        return self.check_pending(miss, left);
                    }
                    Joined::CoolDown { left } => {
                        assert_eq!(miss.retry_after, Some(Duration::from_nanos(left)));
                        self.seen.add(Event::CoolingDown);
                    }
                    Joined::Granted | Joined::Nothing => assert_eq!(miss.retry_after, None),
                    Joined::Waits(_) => panic!("it was to wait"),
                    Joined::TooManyLeases => panic!("there was no room"),
                }
                assert_ne!(miss.reason, MissReason::Pending);
                self.check_reason(name, min_ttl, miss.reason);
            }
        }
    }
}

impl Episode<'_> {
    pub(super) fn keep_token(&mut self, name: Name, token: Token) {
        if self.tokens.len() == TOKENS {
            let index = self.draw.rng.usize(0..TOKENS);
            self.tokens.remove(index);
        }
        self.tokens.push((name, token));
    }
}
