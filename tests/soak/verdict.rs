//! The verdict on the credentials that were returned.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use credcache_client::{Credential, GetOrFetchError};

use crate::issuer::{Issuer, now};

/// The tolerance for two readings of a clock, which aren't made at one instant.
const JITTER: Duration = Duration::from_millis(1);
/// The tolerance beside the near cache's bound: a round trip on a machine that is busy with
/// everything else here.
const ROUND_TRIP: Duration = Duration::from_millis(800);

#[derive(Default)]
pub(crate) struct Verdict {
    returned: AtomicU64,
    hits: AtomicU64,
    near: AtomicU64,
    late: AtomicU64,
    most_late: AtomicU64,
    near_excess: AtomicU64,
    failures: Mutex<BTreeMap<String, u64>>,
}

/// The result of a future, and the time at which it was polled last. A returned credential was
/// still good after that time, or it was checked too early.
pub(crate) async fn polled<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let began = now();
        future.as_mut().poll(context).map(|answer| (answer, began))
    })
    .await
}

impl Verdict {
    pub(crate) fn returned(&self, issuer: &Issuer, credential: &Credential, polled: Duration) {
        self.returned.fetch_add(1, Ordering::Relaxed);
        if credential.version != 0 {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
        let late = issuer.late(credential, polled);
        if late > JITTER {
            self.late.fetch_add(1, Ordering::Relaxed);
            let late = late.as_micros() as u64;
            self.most_late.fetch_max(late, Ordering::Relaxed);
        }
    }

    /// Judges a credential that a near cache returned to a caller that asked at `begun`.
    pub(crate) fn near(&self, issuer: &Issuer, credential: &Credential, begun: Duration) {
        self.near.fetch_add(1, Ordering::Relaxed);
        let revoked = issuer.revoked_for(credential, begun).unwrap_or_default();
        let excess = revoked.saturating_sub(crate::BOUND).as_micros() as u64;
        self.near_excess.fetch_max(excess, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: &GetOrFetchError<String>) {
        let mut failures = self.failures.lock().unwrap();
        *failures.entry(error.to_string()).or_default() += 1;
    }

    fn of(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }

    pub(crate) fn print(&self) {
        println!(
            "{} returned, {} of them stored, {} by the near cache; {} late, by {} us at the most; \
             revoked {} us past the bound; failures {:?}",
            Self::of(&self.returned),
            Self::of(&self.hits),
            Self::of(&self.near),
            Self::of(&self.late),
            Self::of(&self.most_late),
            Self::of(&self.near_excess),
            self.failures.lock().unwrap()
        );
    }

    pub(crate) fn assert_good(&self) {
        let returned = Self::of(&self.returned);
        assert!(
            returned > 5_000,
            "{returned} returned credentials are too few"
        );
        assert!(Self::of(&self.hits) > 1_000);
        assert!(Self::of(&self.near) > 500);
        assert_eq!(Self::of(&self.late), 0, "handed out past its end");
        let excess = Duration::from_micros(Self::of(&self.near_excess));
        assert!(
            excess <= ROUND_TRIP,
            "revoked for {excess:?} past the bound"
        );
        let failures = self.failures.lock().unwrap();
        let failed: u64 = failures.values().sum();
        assert!(failed * 200 <= returned, "{failures:?}");
    }
}
