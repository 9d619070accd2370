//! Get: a lookup, a lease, or a wait for another caller's fetch.

use std::{pin::pin, time::Duration};

use http::HeaderMap;
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use bytes::Bytes;

use super::{
    ConnectionShare, Service,
    credential::{credential, miss},
    fields::Fields,
    proto::{self, get_response::Outcome},
    status::{Failure, Refusal},
    timeout::timeout,
    times::duration,
};
use credcache_core::{
    Lease, LeaseAnswer, LeaseQuery, LeaseRequest, Lookup, Name, Token, Waiting, WhenDue, Woken,
};

/// The longest wait of a Get.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// How much earlier than the caller's deadline a waiting Get is answered, so that the response
/// arrives in time: a tenth of the remaining time, up to this.
const MARGIN: Duration = Duration::from_millis(100);

/// The fields of a Get.
pub(super) struct Get<'a> {
    pub(super) name: Name<'a>,
    pub(super) min_ttl: Duration,
    pub(super) acquire_lease: bool,
    pub(super) lease_ttl: Option<Duration>,
    /// Zero for a Get that doesn't wait.
    pub(super) wait: Duration,
}

impl Get<'_> {
    /// What a hit that is due for refresh is to this caller.
    pub(super) fn when_due(&self) -> WhenDue {
        if self.acquire_lease {
            WhenDue::Decline
        } else {
            WhenDue::Return
        }
    }
}

impl Service {
    /// # Cancel safety
    /// Dropping the future leaves the queue of waiters.
    pub(super) async fn serve_get(
        &self,
        request: &proto::GetRequest,
        headers: &HeaderMap,
        share: Option<&ConnectionShare>,
    ) -> Result<proto::GetResponse, Failure> {
        let mut get = parse(request)?;
        let permit = share
            .filter(|_| !get.wait.is_zero())
            .map(ConnectionShare::wait);
        if let Some(None) = permit {
            // Beyond the connection's share, a wait is answered as if it had ended.
            get.wait = Duration::ZERO;
        }
        let (lookup, lease) = if get.acquire_lease || !get.wait.is_zero() {
            self.look_or_wait(get, headers).await?
        } else {
            let lookup = self.cache.get(get.name, get.min_ttl, || self.clock.now());
            (lookup, None)
        };
        let outcome = match lookup {
            Lookup::Hit(hit) => Outcome::Credential(credential(&self.cache, &hit)),
            Lookup::Miss(reason) => Outcome::Miss(miss(reason)),
        };
        Ok(proto::GetResponse {
            outcome: Some(outcome),
            lease: lease.map(lease_message),
        })
    }

    /// Looks the key up, then takes a lease or waits.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue of waiters.
    async fn look_or_wait(
        &self,
        get: Get<'_>,
        headers: &HeaderMap,
    ) -> Result<(Lookup, Option<Lease>), Failure> {
        let when_due = get.when_due();
        let Get {
            name,
            min_ttl,
            acquire_lease,
            lease_ttl,
            wait,
        } = get;
        let now = || self.clock.now();
        if let Some(hit) = self.cache.hit(name, min_ttl, when_due, now) {
            return Ok((Lookup::Hit(hit), None));
        }
        let mut query = LeaseQuery {
            min_ttl,
            lease: acquire_lease
                .then(|| lease_request(lease_ttl))
                .transpose()?,
            wait: !wait.is_zero(),
        };
        let mut deadline = pin!(sleep_until(last_moment(wait, timeout(headers))));
        loop {
            let waiting = match self.cache.get_or_lease(name, query, now)? {
                LeaseAnswer::Ready(lookup, lease) => return Ok((lookup, lease)),
                LeaseAnswer::Waits(waiting) => waiting,
            };
            let woken = tokio::select! {
                biased;
                () = until_notified(&waiting) => waiting.try_take(),
                () = self.ending.cancelled() => return Err(Refusal::Draining.into()),
                () = &mut deadline => waiting.try_take(),
            };
            match woken {
                Some(Woken::Granted(lease)) => {
                    let lookup = self.cache.get_as_holder(name, min_ttl, now);
                    return Ok((lookup, Some(lease)));
                }
                Some(Woken::Again) => {}
                None => query.wait = false,
            }
        }
    }
}

fn parse(request: &proto::GetRequest) -> Result<Get<'_>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let min_ttl = fields.optional_duration("min_ttl", request.min_ttl);
    let wait = fields.optional_duration("wait", request.wait);
    let lease_ttl = fields.lease_ttl(request.lease_ttl);
    fields.finish(|| {
        Some(Get {
            name: name?,
            min_ttl: min_ttl?.unwrap_or_default(),
            acquire_lease: request.acquire_lease,
            lease_ttl: lease_ttl?,
            wait: wait?.unwrap_or_default(),
        })
    })
}

fn lease_message(lease: Lease) -> proto::Lease {
    proto::Lease {
        token: Bytes::copy_from_slice(lease.token.as_bytes()),
        ttl: Some(duration(lease.ttl)),
    }
}

/// Waits until there is a notification to take.
///
/// A caller that has gone away must not take a notification. Before a lease is taken, bytes that
/// have arrived on the caller's connection are therefore read (the first yield), and the connection
/// drops the call if they end it (the second).
async fn until_notified(waiting: &Waiting<'_>) {
    if let Woken::Granted(_) = waiting.notified().await {
        yield_now().await;
        yield_now().await;
    }
}

fn last_moment(wait: Duration, timeout: Option<Duration>) -> Instant {
    let wait = wait.min(MAX_WAIT);
    let wait = timeout.map_or(wait, |timeout| {
        wait.min(timeout - (timeout / 10).min(MARGIN))
    });
    Instant::now() + wait
}

fn lease_request(ttl: Option<Duration>) -> Result<LeaseRequest, Failure> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)
        .map_err(|_| Failure::broken("the system gives no random bytes for a lease"))?;
    let token = Token::from_bytes(bits);
    Ok(LeaseRequest { token, ttl })
}
