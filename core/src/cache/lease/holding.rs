//! What a holder does with its lease besides filling it: it goes on with it, or
//! gives it back.

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

/// The longest cool-down that a holder can ask for.
pub const MAX_COOL_DOWN: Duration = Duration::from_secs(300);

/// Why a lease wasn't extended.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ExtendError {
    /// It isn't the key's current one any more.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// Something that matches the key was invalidated since: the fill would be
    /// refused.
    #[error("revoked since the lease was granted")]
    Revoked,
}

/// A lease as its holder names it.
struct Holding<'a> {
    hash: u64,
    name: Name<'a>,
    token: Token,
    /// The record of its namespace, if there is one.
    namespace: Option<Arc<NamespaceRecord>>,
}

impl Cache {
    /// Lets a lease last for `ttl` from now, or for the cache's own `lease_ttl`,
    /// and answers with how long it lasts: less where [`MAX_LEASE`] from its
    /// grant is nearer, more where it would have lasted longer anyway. A lease
    /// that ran out goes on, unless somebody waits for it.
    ///
    /// # Errors
    /// The lease is lost. It ends by that if it was the key's current one.
    ///
    /// [`MAX_LEASE`]: crate::cache::MAX_LEASE
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
            let wakers = self.give_up_lease(leases, hash, name, now);
            return (Err(ExtendError::Revoked), wakers);
        }
        // If it has run out, it is the turn of whoever waits.
        let wakers = self.settle(leases, hash, name, now);
        let left = if self.take_up(leases, holding, now) {
            leases.extend(hash, name, token, ttl, now.boot)
        } else {
            None
        };
        (left.ok_or(LeaseLost.into()), wakers)
    }

    /// Gives a lease back without filling it. For `retry_after`, jittered by up
    /// to 10 % and no longer than [`MAX_COOL_DOWN`], none is granted for the
    /// key, and whoever waits is answered; if that is zero, the next who waits
    /// gets it.
    ///
    /// # Errors
    /// The lease isn't the current one; nothing is done.
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
        if !is_current || !self.take_up(leases, holding, now) {
            return Err(LeaseLost);
        }
        let over = if retry_after.is_zero() {
            LeaseEnd::PassOn(self.grant(now))
        } else {
            // Short of the longest by what the jitter may add.
            let least = retry_after.min(MAX_COOL_DOWN * 10 / 11);
            let spread =
                least / 10 * u32::from(jitter(hash, now.boot.nanos())) / u32::from(u8::MAX);
            LeaseEnd::CoolDown(now.boot.after(least + spread))
        };
        let wakers = leases.end(hash, name, Count::LeasesAbandoned, over);
        drop(stripe);
        wakers.wake();
        Ok(())
    }

    /// Found before the stripe is locked: the registry comes first.
    fn holding<'a>(&self, name: Name<'a>, token: Token) -> Holding<'a> {
        Holding {
            hash: self.hash(name),
            name,
            token,
            namespace: self.namespaces.find(name.namespace),
        }
    }

    /// Takes a lease up again if it ran out, as long as there is room for it;
    /// whether there is.
    fn take_up(&self, leases: &mut LeaseTable, holding: Holding<'_>, now: Now) -> bool {
        let Holding {
            hash,
            name,
            token,
            namespace,
        } = holding;
        if !leases.ran_out(hash, name, token, now.boot) {
            return true;
        }
        let (Some(namespace), Some(permit)) = (namespace, self.lease_permits.try_acquire()) else {
            return false;
        };
        leases.take_up(hash, namespace, name, token, permit);
        true
    }
}
