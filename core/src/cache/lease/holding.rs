//! Operations on a lease besides its fill: the holder extends or abandons it.

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use crate::{
    cache::{Cache, lease::LeaseLost},
    counters::Count,
    leases::{
        table::{LeaseEnd, LeaseTable, Wakers},
        token::Token,
    },
    model::{jitter::jitter, name::Name, time::Now},
    store::namespaces::NamespaceRecord,
};

/// The longest cool-down that the holder of a lease can request.
pub const MAX_COOL_DOWN: Duration = Duration::from_secs(300);

/// Why a lease wasn't extended.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ExtendError {
    /// The lease is no longer the key's current lease.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// The key was invalidated after the lease was granted, so its fill would be refused.
    #[error("the key was invalidated since the lease was granted")]
    Revoked,
}

/// A lease as its holder states it.
struct Holding<'a> {
    hash: u64,
    name: Name<'a>,
    token: Token,
    /// The record of the key's namespace, if there is one.
    namespace: Option<Arc<NamespaceRecord>>,
}

impl Cache {
    /// Extends a lease to `ttl` from now; `None` stands for
    /// [`Limits::lease_ttl`](crate::Limits::lease_ttl). Returns the remaining time of the lease. It
    /// is shorter than `ttl` if [`MAX_LEASE`] from the grant comes first, and longer if the lease
    /// had more time left anyway. A lapsed lease can be extended as long as no other caller waits
    /// for it.
    ///
    /// # Errors
    /// [`ExtendError`] if the lease is lost. If it was still the key's current lease, it has ended.
    ///
    /// [`MAX_LEASE`]: crate::MAX_LEASE
    pub fn extend_lease(
        &self,
        name: Name<'_>,
        token: Token,
        ttl: Option<Duration>,
        now: Now,
    ) -> Result<Duration, ExtendError> {
        let holding = self.holding(name, token);
        let ttl = ttl.unwrap_or(self.limits.lease_ttl);
        let mut stripe = self.stripe(holding.hash).lock();
        let (extended, wakers) = self.extend(&mut stripe.leases, holding, ttl, now);
        drop(stripe);
        wakers.wake();
        extended
    }

    fn extend(
        &self,
        leases: &mut LeaseTable,
        holding: Holding<'_>,
        ttl: Duration,
        now: Now,
    ) -> (Result<Duration, ExtendError>, Wakers) {
        let Holding {
            hash, name, token, ..
        } = holding;
        let Some(granted) = leases.granted(hash, name, token, now.boot) else {
            return (Err(LeaseLost.into()), Wakers::default());
        };
        if self.change_log.refuses_lease(name, granted) {
            let wakers = self.revoke_lease(leases, hash, name, now);
            return (Err(ExtendError::Revoked), wakers);
        }
        // If the lease has run out, the next waiter gets a new lease.
        let wakers = self.settle(leases, hash, name, now);
        let left = if self.revive(leases, holding, now) {
            leases.extend(hash, name, token, ttl, now.boot)
        } else {
            None
        };
        (left.ok_or(LeaseLost.into()), wakers)
    }

    /// Ends a lease without filling it. For the time `retry_after`, which is lengthened by a jitter
    /// of up to 10 % and limited to [`MAX_COOL_DOWN`], the key is in a cool-down: no lease is
    /// granted, and the waiting Gets are answered. If `retry_after` is zero, the next waiter gets
    /// the lease.
    ///
    /// # Errors
    /// [`LeaseLost`] if the lease isn't the key's current lease. Nothing has changed then.
    pub fn abandon_lease(
        &self,
        name: Name<'_>,
        token: Token,
        retry_after: Duration,
        now: Now,
    ) -> Result<(), LeaseLost> {
        let holding = self.holding(name, token);
        let hash = holding.hash;
        let mut stripe = self.stripe(hash).lock();
        let leases = &mut stripe.leases;
        let is_current = leases.granted(hash, name, token, now.boot).is_some();
        if !is_current || !self.revive(leases, holding, now) {
            return Err(LeaseLost);
        }
        let next = if retry_after.is_zero() {
            LeaseEnd::PassOn(self.grant(now))
        } else {
            // Limited to the maximum less the jitter's share.
            let base = retry_after.min(MAX_COOL_DOWN * 10 / 11);
            let spread = base / 10 * u32::from(jitter(hash, now.boot.nanos())) / u32::from(u8::MAX);
            LeaseEnd::CoolDown(now.boot.after(base + spread))
        };
        let wakers = leases.end(hash, name, Count::LeasesAbandoned, next);
        drop(stripe);
        wakers.wake();
        Ok(())
    }

    /// Looks up the namespace before the stripe is locked, because the registry's lock comes first.
    fn holding<'a>(&self, name: Name<'a>, token: Token) -> Holding<'a> {
        Holding {
            hash: self.hash(name),
            name,
            token,
            namespace: self.namespaces.find(name.namespace),
        }
    }

    /// Puts a lapsed lease back into the table if there is room. Returns whether the lease is in
    /// the table.
    fn revive(&self, leases: &mut LeaseTable, holding: Holding<'_>, now: Now) -> bool {
        let Holding {
            hash,
            name,
            token,
            namespace,
        } = holding;
        if !leases.is_lapsed(hash, name, token, now.boot) {
            return true;
        }
        let (Some(namespace), Some(permit)) = (namespace, self.lease_permits.try_acquire()) else {
            return false;
        };
        leases.revive(hash, namespace, name, token, permit);
        true
    }
}
