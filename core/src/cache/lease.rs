//! Leases: one caller at a time has the right and the duty to fetch a key's credential for all
//! callers. The other callers wait for it, or keep using the current credential.

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

/// A lookup that may take a lease or wait for one.
#[derive(Clone, Copy, Debug)]
pub struct LeaseQuery {
    /// The least remaining lifetime of a hit, as in [`Cache::get`].
    pub min_ttl: Duration,
    /// The lease to grant if the key needs a fetch; `None` if the caller won't fetch.
    pub lease: Option<LeaseRequest>,
    /// Whether the caller would wait for another caller's fetch.
    pub wait: bool,
}

/// The answer to a [`LeaseQuery`].
#[derive(Debug)]
pub enum LeaseAnswer<'a> {
    /// The result of the lookup, and the lease if one was granted.
    Ready(Lookup, Option<Lease>),
    /// Another caller is fetching. The future resolves when the caller should continue.
    Waits(Waiting<'a>),
}

/// Why a lease couldn't be granted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LeaseError {
    /// [`Limits::max_leases`](crate::Limits::max_leases) keys have a lease or are in a cool-down.
    #[error("the limit on leases is reached")]
    TooManyLeases,
    /// [`Limits::max_namespaces`](crate::Limits::max_namespaces) namespaces hold something.
    #[error("the limit on namespaces is reached")]
    TooManyNamespaces,
}

/// The lease is no longer the key's current lease.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the lease is no longer the key's current lease")]
pub struct LeaseLost;

/// The latest time after which a caller that can't wait should ask again. Most fetches take less
/// time, and a lease that ends early may be free by then.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A caller that is about to take a lease or to wait for it.
struct Joining<'a> {
    hash: u64,
    name: Name<'a>,
    namespace: Arc<NamespaceRecord>,
    request: Option<LeaseRequest>,
    wait: bool,
}

enum Joined {
    /// The caller has the lease.
    Granted(Lease),
    Waits(Arc<Waiter>),
    /// Another caller has the lease; the caller should ask again after this time.
    Busy(Duration),
    /// The key is in a cool-down for this long.
    CoolDown(Duration),
    /// The key has no lease, and the caller requested none.
    Nothing,
}

impl Cache {
    /// Looks up a credential. On a miss, or if the credential is due for refresh, grants the
    /// requested lease if the key's lease is free. On a miss while another caller holds the lease,
    /// the answer is [`LeaseAnswer::Waits`] if the query says so.
    ///
    /// The caller that is granted the lease must fetch the credential and [put](Self::put) it with
    /// the lease's token, or [abandon](Self::abandon_lease) the lease.
    ///
    /// # Errors
    /// [`LeaseError`] on a miss if a lease was requested and the key has none, but a limit is
    /// reached. A live credential is returned even then.
    ///
    /// # Examples
    /// ```
    /// use credcache_core::{LeaseAnswer, LeaseQuery, Lookup, Token};
    /// # use std::time::Duration;
    /// # use credcache_core::{
    /// #     Attributes, Cache, Contents, Key, Lifetime, Limits, Name, NamespaceName, Now, Put, Tags,
    /// #     TierSpec,
    /// # };
    /// # let hour = TierSpec {
    /// #     name: "hour".to_owned(),
    /// #     max_ttl: Duration::from_secs(3600),
    /// #     capacity: 64 * 1024 * 1024,
    /// # };
    /// # let cache = Cache::new(vec![hour], Limits::DEFAULT)?;
    /// # let now = Now::default();
    /// # let namespace = NamespaceName::parse("billing")?;
    /// # let name = Name { namespace, key: Key::parse("db/reader")? };
    /// # let put = Put {
    /// #     name,
    /// #     contents: Contents {
    /// #         value: cache.limits().value(b"hunter2")?,
    /// #         tags: Tags::default(),
    /// #         attributes: Attributes::default(),
    /// #     },
    /// #     lifetime: Lifetime::For(Duration::from_secs(600)),
    /// #     refresh_before: None,
    /// #     tier: None,
    /// #     issued_at: None,
    /// #     lease: None,
    /// #     precondition: None,
    /// # };
    ///
    /// let query = LeaseQuery {
    ///     min_ttl: Duration::ZERO,
    ///     lease: Some(Token::from_bytes([7; 16]).into()), // A real token is random.
    ///     wait: true,
    /// };
    /// match cache.get_or_lease(name, query, || now)? {
    ///     LeaseAnswer::Ready(Lookup::Hit(hit), _) => println!("{} bytes", hit.view().value().len()),
    ///     LeaseAnswer::Ready(Lookup::Miss(_), Some(lease)) => {
    ///         // This caller fetches the credential, and fills the lease with it.
    ///         cache.put(Put { lease: Some(lease.token), ..put }, now)?;
    ///     }
    ///     LeaseAnswer::Ready(Lookup::Miss(miss), None) => println!("ask again: {miss:?}"),
    ///     LeaseAnswer::Waits(waiting) => drop(waiting), // An async caller awaits it.
    /// }
    /// assert!(cache.get(name, Duration::ZERO, || now).hit().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_or_lease(
        &self,
        name: Name<'_>,
        query: LeaseQuery,
        now: impl FnOnce() -> Now,
    ) -> Result<LeaseAnswer<'_>, LeaseError> {
        let hash = self.hash(name);
        let namespace = match query.lease {
            Some(_) => self.namespaces.find_or_create(name.namespace).ok(),
            // If the namespace has a lease, it has a record.
            None => self.namespaces.find(name.namespace),
        };
        let mut wakers = Wakers::default();
        // Locked from here on: a fill either is found below, or comes after this.
        let mut stripe = self.stripe(hash).lock();
        let (mut found, now) = self.look_up(hash, name, query.min_ttl, now);
        let needs_fetch = match &found {
            Lookup::Hit(hit) => query.lease.is_some() && hit.is_due(),
            Lookup::Miss(_) => true,
        };
        let joined = match namespace {
            _ if !needs_fetch => Ok(Joined::Nothing),
            None if query.lease.is_some() => Err(LeaseError::TooManyNamespaces),
            None => Ok(Joined::Nothing),
            Some(namespace) => {
                wakers = self.settle(&mut stripe.leases, hash, name, now);
                let wait = query.wait && matches!(found, Lookup::Miss(_));
                let joining = Joining {
                    hash,
                    name,
                    namespace,
                    request: query.lease,
                    wait,
                };
                self.join(&mut stripe.leases, joining, now)
            }
        };
        // A credential that an earlier invalidation covers is removed before the lease's holder
        // sees it. Otherwise the holder could get a credential from before the invalidation
        // together with a lease from after it.
        let covered = match joined {
            Ok(Joined::Granted(_)) => self.remove_covered(&mut stripe, name, now),
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
            (Ok(Joined::Busy(retry_after)), Lookup::Miss(miss)) => {
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

    /// Ends leases that are due; each goes to the next waiter. Forgets old lapsed leases and fills.
    /// Continues after the first `stripes` stripes, and adds the completed ones. Returns whether
    /// all stripes are complete.
    pub(crate) fn end_leases(&self, stripes: &mut usize, now: Now, budget: &mut Budget) -> bool {
        for stripe in &self.stripes[*stripes..] {
            if stripe.has_leases() {
                budget.seek();
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

    /// Ends the key's lease if it is due, or if an invalidation will refuse its fill. Ends the
    /// key's cool-down if it is due.
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

    /// Takes the key's lease, or joins the queue behind its holder.
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
        if let Some(lease) = leases.lease(hash, name) {
            let max = self.limits.max_waiters_per_key as usize;
            let waiter = if wait {
                leases.wait(hash, name, request, max, || {
                    self.waiter_permits.try_acquire()
                })
            } else {
                None
            };
            let busy = || Joined::Busy(lease.retry_after(hash, now.boot).unwrap_or_default());
            return Ok(waiter.map_or_else(busy, Joined::Waits));
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
    pub(crate) fn revoke_lease(
        &self,
        leases: &mut LeaseTable,
        hash: u64,
        name: Name<'_>,
        now: Now,
    ) -> Wakers {
        let next = LeaseEnd::PassOn(self.grant(now));
        leases.end(hash, name, Count::LeasesRevoked, next)
    }

    /// Removes a waiter that stops waiting.
    pub(crate) fn leave(&self, hash: u64, waiter: &Waiter) {
        self.stripe(hash).lock().leases.leave(waiter);
    }

    /// The terms of a lease that is granted now.
    pub(crate) fn grant(&self, now: Now) -> Grant {
        Grant {
            revision: self.change_log.latest(),
            now: now.boot,
            ttl: self.limits.lease_ttl,
        }
    }
}

impl CurrentLease {
    /// When a caller that doesn't wait should ask again: at the latest when the lease is due,
    /// spread over the second half of that time. `None` if the lease is due.
    pub(crate) fn retry_after(&self, hash: u64, now: BootTime) -> Option<Duration> {
        let max = now.until(self.due).min(MAX_RETRY_AFTER);
        let earlier = max / 2 * u32::from(jitter(hash, now.nanos())) / u32::from(u8::MAX);
        (!max.is_zero()).then_some(max - earlier)
    }
}
