//! Get, where it is more than a look: for a lease, or for somebody else's
//! fetch.

use std::{pin::pin, time::Duration};

use http::HeaderMap;
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use super::{Service, failure::Failure, request::Get, timeout::timeout};
use credcache_core::{Lease, LeaseAnswer, LeaseQuery, LeaseRequest, Lookup, Token, Waiting, Woken};

/// No Get waits longer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How much earlier than the caller's deadline a Get that waits is answered, so
/// that the answer is there in time: a tenth of the time there is, up to this.
const MARGIN: Duration = Duration::from_millis(100);

impl Service {
    /// Looks, and then does what it takes.
    ///
    /// # Cancel safety
    /// Dropping it leaves the queue of those who wait.
    pub(super) async fn look_or_wait(
        &self,
        get: Get<'_>,
        headers: &HeaderMap,
    ) -> Result<(Lookup, Option<Lease>), Failure> {
        let Get {
            name,
            min_ttl,
            acquire_lease,
            lease_ttl,
            wait,
        } = get;
        let now = || self.clock.now();
        if let Some(hit) = self.cache.hit(name, min_ttl, acquire_lease, now) {
            return Ok((Lookup::Hit(hit), None));
        }
        let mut ask = LeaseQuery {
            min_ttl,
            lease: acquire_lease.then(|| request(lease_ttl)).transpose()?,
            wait: !wait.is_zero(),
        };
        let mut over = pin!(sleep_until(last_moment(wait, timeout(headers))));
        loop {
            let waiting = match self.cache.get_or_lease(name, ask, now)? {
                LeaseAnswer::Ready(lookup, lease) => return Ok((lookup, lease)),
                LeaseAnswer::Waits(waiting) => waiting,
            };
            let woken = tokio::select! {
                biased;
                () = until_told(&waiting) => waiting.told(),
                () = self.ending.cancelled() => return Err(Failure::Ending),
                () = &mut over => waiting.told(),
            };
            match woken {
                Some(Woken::Granted(lease)) => {
                    let lookup = self.cache.get_as_holder(name, min_ttl, now);
                    return Ok((lookup, Some(lease)));
                }
                Some(Woken::Again) => {}
                None => ask.wait = false,
            }
        }
    }
}

/// Waits until it is told something.
///
/// Nothing that is ready is taken by a caller who has gone away: before a lease
/// is, what has come on the caller's connection by then is read (the first
/// yield), and the connection drops the call if that is its end (the second).
async fn until_told(waiting: &Waiting<'_>) {
    if let Woken::Granted(_) = waiting.until_told().await {
        yield_now().await;
        yield_now().await;
    }
}

fn last_moment(wait: Duration, timeout: Option<Duration>) -> Instant {
    let wait = wait.min(LONGEST_WAIT);
    let wait = timeout.map_or(wait, |timeout| {
        wait.min(timeout - (timeout / 10).min(MARGIN))
    });
    Instant::now() + wait
}

fn request(ttl: Option<Duration>) -> Result<LeaseRequest, Failure> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)
        .map_err(|_| Failure::broken("the system gives no random bytes for a lease"))?;
    let token = Token::from_bytes(bits);
    Ok(LeaseRequest { token, ttl })
}
