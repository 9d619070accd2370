//! Get, where it is more than a look: for a lease, or for somebody else's
//! fetch.

use std::{pin::pin, time::Duration};

use http::HeaderMap;
use tokio::time::{Instant, sleep_until};

use super::{Service, failure::Failure, request::Get, timeout::timeout};
use crate::cache::{Answer, Ask, Lease, LeaseRequest, Lookup, Token, Woken};

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
        let mut ask = Ask {
            min_ttl,
            lease: acquire_lease.then(|| request(lease_ttl)).transpose()?,
            wait: !wait.is_zero(),
        };
        let mut over = pin!(sleep_until(last_moment(wait, timeout(headers))));
        loop {
            let mut waiting = match self.cache.get_or_lease(name, ask, now)? {
                Answer::Now(lookup, lease) => return Ok((lookup, lease)),
                Answer::Later(waiting) => pin!(waiting),
            };
            let woken = tokio::select! {
                biased;
                woken = &mut waiting => Some(woken),
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
