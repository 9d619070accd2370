//! The verdict on the credentials that callers of near caches were returned.

use std::{
    fmt::Debug,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use credcache_client::{Credential, GetOrFetchError};

use crate::issuer::{Issuer, number};

#[derive(Default)]
pub(crate) struct Verdict {
    returned: AtomicU64,
    pub(crate) fetches: AtomicU64,
    /// The number of credentials that a caller got while the link was down, without their being
    /// stored.
    pub(crate) fetched_in_outage: AtomicU64,
    excess: AtomicU64,
    pending: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Verdict {
    pub(crate) fn returned(&self, issuer: &Issuer, credential: &Credential, begun: Duration) {
        self.returned.fetch_add(1, Ordering::SeqCst);
        let excess = issuer.excess(number(credential), begun);
        self.excess
            .fetch_max(excess.as_nanos() as u64, Ordering::SeqCst);
    }

    /// Records an error of `get_or_fetch`, whose fetch never fails.
    pub(crate) fn failed<E: Debug>(&self, error: &GetOrFetchError<E>) {
        // The server was reachable, and callers with broken links held the lease one after the
        // other.
        if matches!(error, GetOrFetchError::Pending { .. }) {
            self.pending.fetch_add(1, Ordering::SeqCst);
            return;
        }
        self.failures.lock().unwrap().push(format!("{error:?}"));
    }

    pub(crate) fn excess(&self) -> Duration {
        Duration::from_nanos(self.excess.load(Ordering::SeqCst))
    }

    pub(crate) fn print(&self) {
        println!(
            "{} returned to callers; {} fetches, {} of them handed out in an outage, {} not in time; past the bound {:?}",
            self.returned.load(Ordering::SeqCst),
            self.fetches.load(Ordering::SeqCst),
            self.fetched_in_outage.load(Ordering::SeqCst),
            self.pending.load(Ordering::SeqCst),
            self.excess(),
        );
    }

    pub(crate) fn assert_meaningful(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:?}");
        assert!(self.returned.load(Ordering::SeqCst) > 10_000);
        assert!(self.fetches.load(Ordering::SeqCst) > 100);
        let in_outage = self.fetched_in_outage.load(Ordering::SeqCst);
        assert!(in_outage > 10);
        let pending = self.pending.load(Ordering::SeqCst);
        assert!(pending < in_outage / 4, "{pending} waited in vain");
    }
}
