//! Leases: one caller at a time has the right, and the duty, to fetch a key's
//! credential for everybody; the others wait for it, or go on with what is
//! still good.

pub(crate) mod holding;
pub(crate) mod waiting;

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use crate::{
    cache::{
        Cache,
        get::{Lookup, Miss, MissReason},
        lease::waiting::Waiting,
    },
    counters::Count,
    leases::{
        grant::Grant,
        table::{CurrentLease, LeaseEnd, LeaseTable, Wakers},
        token::{Lease, LeaseRequest},
        waiter::Waiter,
    },
    model::{
        jitter::jitter,
        name::Name,
        time::{BootTime, Now},
    },
    store::namespaces::NamespaceRecord,
    work::budget::Budget,
};

/// A Get that goes beyond looking.
#[derive(Clone, Copy, Debug)]
pub struct LeaseQuery {
    /// The least lifetime that must be left.
    pub min_ttl: Duration,
    /// Asks for the lease.
    pub lease: Option<LeaseRequest>,
    /// Whether to wait for somebody else's fetch.
    pub wait: bool,
}

/// What became of it.
#[derive(Debug)]
pub enum LeaseAnswer<'a> {
    /// It is answered; with the lease, if it was asked for and free.
    Ready(Lookup, Option<Lease>),
    /// Somebody else fetches.
    Waits(Waiting<'a>),
}

/// Why a lease couldn't be granted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LeaseError {
    /// As many keys have a lease, or are in a cool-down, as may.
    #[error("the server holds as many leases as it may")]
    TooManyLeases,
    /// As many namespaces hold something as may.
    #[error("the server holds as many namespaces as it may")]
    TooManyNamespaces,
}

/// The lease isn't the key's current one any more.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the lease isn't the key's current one any more")]
pub struct LeaseLost;

/// Callers who can't wait any longer are told to come back no later than this:
/// a fetch is seldom longer, and a lease that ends early may free another.
const COME_BACK: Duration = Duration::from_secs(1);

/// One who is about to take a lease or a place behind it.
struct Joining<'a> {
    hash: u64,
    name: Name<'a>,
    namespace: Arc<NamespaceRecord>,
    request: Option<LeaseRequest>,
    wait: bool,
}

enum Joined {
    /// It has the lease.
    Granted(Lease),
    Waits(Arc<Waiter>),
    /// Somebody else has it; to come back after this long.
    Behind(Duration),
    /// No lease is granted for this long.
    CoolDown(Duration),
    /// There is no lease, and it asked for none.
    Nothing,
}

impl Cache {
    /// Looks a credential up. Where there is none, or one that is due to be
    /// refreshed, grants the lease that was asked for, or waits for whoever
    /// holds it.
    ///
    /// # Errors
    /// A lease was asked for, there is none of the key, and no room for one.
    /// What is live is answered all the same.
    pub fn get_or_lease(
        &self,
        name: Name<'_>,
        ask: LeaseQuery,
        now: impl FnOnce() -> Now,
    ) -> Result<LeaseAnswer<'_>, LeaseError> {
        let hash = self.hash(name);
        let namespace = match ask.lease {
            Some(_) => self.namespaces.find_or_create(name.namespace).ok(),
            // A lease there is has made a record.
            None => self.namespaces.find(name.namespace),
        };
        let mut wakers = Wakers::default();
        // A fill is found from now on, or still to come.
        let mut stripe = self.stripe(hash).lock();
        let (mut found, now) = self.look(hash, name, ask.min_ttl, now);
        let is_wanted = match &found {
            Lookup::Hit(hit) => ask.lease.is_some() && hit.is_due(),
            Lookup::Miss(_) => true,
        };
        let joined = match namespace {
            _ if !is_wanted => Ok(Joined::Nothing),
            None if ask.lease.is_some() => Err(LeaseError::TooManyNamespaces),
            None => Ok(Joined::Nothing),
            Some(namespace) => {
                wakers = self.settle(&mut stripe.leases, hash, name, now);
                let wait = ask.wait && matches!(found, Lookup::Miss(_));
                let joining = Joining {
                    hash,
                    name,
                    namespace,
                    request: ask.lease,
                    wait,
                };
                self.join(&mut stripe.leases, joining, now)
            }
        };
        // What an invalidation that comes before the lease covers is gone for its
        // holder: else it had a credential from before the invalidation, and a
        // lease from after it.
        let covered = match joined {
            Ok(Joined::Granted(_)) => self.take_out_covered(&mut stripe, name, now),
            _ => None,
        };
        if covered.is_some() {
            found = Lookup::Miss(MissReason::NotFound.into());
        }
        if let Lookup::Miss(miss) = &mut found {
            miss.explain(stripe.tombstones.contains(hash, name));
        }
        drop(stripe);
        wakers.wake();

        let mut lease = None;
        match (joined, &mut found) {
            (Ok(Joined::Waits(waiter)), _) => {
                return Ok(LeaseAnswer::Waits(Waiting::new(self, waiter)));
            }
            (Ok(Joined::Granted(granted)), _) => lease = Some(granted),
            (Ok(Joined::Behind(retry_after)), Lookup::Miss(miss)) => {
                *miss = Miss::pending(retry_after);
            }
            (Ok(Joined::CoolDown(retry_after)), Lookup::Miss(miss)) => {
                miss.retry_after = Some(retry_after);
            }
            (Err(error), Lookup::Miss(_)) => return Err(error),
            (Ok(Joined::Nothing), _) | (_, Lookup::Hit(_)) => {}
        }
        self.count(name, &found);
        Ok(LeaseAnswer::Ready(found, lease))
    }

    /// Ends leases whose time is over; the next who waits gets each. Forgets
    /// what need not be known any more of those that ended before. Goes on
    /// behind the first `stripes`, which it counts; whether that was all.
    pub(crate) fn end_leases(&self, stripes: &mut usize, now: Now, budget: &mut Budget) -> bool {
        for stripe in &self.stripes[*stripes..] {
            if stripe.has_leases() {
                budget.find_place();
                let grant = || self.grant(now);
                let mut stripe = stripe.lock();
                let wakers = stripe.leases.end_due(now.boot, grant, budget);
                stripe.fills.forget_due(now.boot, budget);
                drop(stripe);
                wakers.wake();
            }
            if budget.is_spent() {
                return false;
            }
            *stripes += 1;
        }
        true
    }

    /// Ends the key's lease or cool-down if it is over, by time or by an invalidation
    /// that its fill won't get past.
    fn settle(&self, leases: &mut LeaseTable, hash: u64, name: Name<'_>, now: Now) -> Wakers {
        let Some(lease) = leases.lease(hash, name) else {
            leases.end_cool_down(hash, name, now.boot);
            return Wakers::default();
        };
        let why = if lease.due <= now.boot {
            Count::LeasesExpired
        } else if self.change_log.refuses_lease(name, lease.granted) {
            Count::LeasesRevoked
        } else {
            return Wakers::default();
        };
        leases.end(hash, name, why, LeaseEnd::PassOn(self.grant(now)))
    }

    /// Takes the key's lease, or a place behind whoever has it.
    fn join(
        &self,
        leases: &mut LeaseTable,
        joining: Joining<'_>,
        now: Now,
    ) -> Result<Joined, LeaseError> {
        let Joining {
            hash,
            name,
            namespace,
            request,
            wait,
        } = joining;
        if let Some(until) = leases.cool_down(hash, name) {
            return Ok(Joined::CoolDown(now.boot.until(until)));
        }
        if let Some(held) = leases.lease(hash, name) {
            let most = self.limits.max_waiters_per_key as usize;
            let waiter = if wait {
                leases.wait(hash, name, request, most, || {
                    self.waiter_permits.try_acquire()
                })
            } else {
                None
            };
            let behind = || Joined::Behind(held.come_back(hash, now.boot).unwrap_or_default());
            return Ok(waiter.map_or_else(behind, Joined::Waits));
        }
        let Some(request) = request else {
            return Ok(Joined::Nothing);
        };
        let permit = self
            .lease_permits
            .try_acquire()
            .ok_or(LeaseError::TooManyLeases)?;
        Ok(Joined::Granted(leases.grant_lease(
            hash,
            namespace,
            name,
            request,
            self.grant(now),
            permit,
        )))
    }

    /// Ends the key's lease, whose fill was refused.
    pub(crate) fn give_up_lease(
        &self,
        leases: &mut LeaseTable,
        hash: u64,
        name: Name<'_>,
        now: Now,
    ) -> Wakers {
        let next = LeaseEnd::PassOn(self.grant(now));
        leases.end(hash, name, Count::LeasesRevoked, next)
    }

    /// Takes one who doesn't wait any longer from the queue.
    pub(crate) fn leave(&self, hash: u64, waiter: &Waiter) {
        self.stripe(hash).lock().leases.leave(waiter);
    }

    /// What a lease granted now is like.
    pub(crate) fn grant(&self, now: Now) -> Grant {
        Grant {
            revision: self.change_log.latest(),
            now: now.boot,
            ttl: self.limits.lease_ttl,
        }
    }
}

impl CurrentLease {
    /// When to come back for one who doesn't wait: no later than the lease is
    /// over, spread over the half before. `None` if it is over.
    pub(crate) fn come_back(&self, hash: u64, now: BootTime) -> Option<Duration> {
        let most = now.until(self.due).min(COME_BACK);
        let earlier = most / 2 * u32::from(jitter(hash, now.nanos())) / u32::from(u8::MAX);
        (!most.is_zero()).then_some(most - earlier)
    }
}
