//! The issuer of the credentials, which knows when each ends and when it was revoked.

use std::{
    sync::{Mutex, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use credcache_client::{Credential, Fetched, Lifetime, Secret};

use crate::faults::Outage;

pub(crate) const NAMESPACE: &str = "soak";
pub(crate) const KEYS: usize = 20;
/// The lifetime by the key's number. Lifetimes are short, so that many end.
const SHORTEST_LIFE: Duration = Duration::from_millis(2_000);

pub(crate) fn key(number: usize) -> String {
    format!("key/{number}")
}

/// The time since the first reading.
#[allow(
    clippy::disallowed_methods,
    reason = "a test's own stopwatch, unlike the clock of what it tests"
)]
pub(crate) fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

pub(crate) struct Issuer {
    issued: Mutex<Vec<Issued>>,
    /// The last time at which the running server didn't know earlier revocations.
    forgot: Mutex<Duration>,
}

#[derive(Clone, Copy)]
struct Issued {
    key: usize,
    at: Duration,
    end: Duration,
    revoked: Option<Duration>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        now();
        Self {
            issued: Mutex::default(),
            forgot: Mutex::default(),
        }
    }

    /// Issues a credential whose value is its number. Every second key's credentials state their
    /// end; the others state their lifetime.
    #[allow(clippy::disallowed_methods, reason = "an issuer's own clock")]
    pub(crate) fn issue(&self, key: usize) -> Fetched {
        let life = SHORTEST_LIFE + Duration::from_millis(200) * key as u32;
        let mut issued = self.issued.lock().unwrap();
        let number = issued.len() as u64;
        let wall = SystemTime::now();
        let at = now();
        issued.push(Issued {
            key,
            at,
            end: at + life,
            revoked: None,
        });
        let lifetime = match key % 2 {
            0 => Lifetime::Ttl(life),
            _ => Lifetime::ExpiresAt(wall + life),
        };
        Fetched::new(Secret::new(number.to_le_bytes()), lifetime)
    }

    /// How many credentials of a key were issued so far.
    pub(crate) fn issued_up_to_now(&self) -> usize {
        self.issued.lock().unwrap().len()
    }

    /// Records that a revocation of the key's first `count` credentials was answered.
    pub(crate) fn revoked(&self, key: usize, count: usize) {
        let at = now();
        let mut issued = self.issued.lock().unwrap();
        for issued in issued.iter_mut().take(count).rev().take(4096) {
            if issued.key == key {
                issued.revoked.get_or_insert(at);
            }
        }
    }

    pub(crate) fn server_forgot(&self) {
        *self.forgot.lock().unwrap() = now();
    }

    /// How long before `at` the credential had expired.
    pub(crate) fn late(&self, credential: &Credential, at: Duration) -> Duration {
        at.saturating_sub(self.of(credential).end)
    }

    /// How long before `at` the revocation of the credential was answered by a server that has kept
    /// its memory since.
    pub(crate) fn revoked_for(&self, credential: &Credential, at: Duration) -> Option<Duration> {
        let revoked = self.of(credential).revoked?;
        let forgot = *self.forgot.lock().unwrap();
        (revoked > forgot).then(|| at.saturating_sub(revoked))
    }

    fn of(&self, credential: &Credential) -> Issued {
        let number = u64::from_le_bytes(credential.value.expose().try_into().unwrap());
        self.issued.lock().unwrap()[number as usize]
    }

    /// The most fetches of any key during an outage, and how many were allowed.
    fn most_calls(&self, outage: &Outage) -> (usize, usize) {
        let mut calls = [0; KEYS];
        for issued in self.issued.lock().unwrap().iter() {
            if (outage.begun..outage.ended).contains(&issued.at) {
                calls[issued.key] += 1;
            }
        }
        let seconds = (outage.ended - outage.begun).as_secs() as usize + 1;
        (calls.into_iter().max().unwrap_or(0), 2 * seconds)
    }

    pub(crate) fn print(&self, outages: &[Outage]) {
        let most = outages.iter().map(|outage| self.most_calls(outage).0).max();
        println!(
            "{} issued; in {} outages no key more often than {} times",
            self.issued_up_to_now(),
            outages.len(),
            most.unwrap_or(0)
        );
    }

    pub(crate) fn assert_few_calls(&self, outages: &[Outage]) {
        assert!(!outages.is_empty());
        for outage in outages {
            let (most, allowed) = self.most_calls(outage);
            assert!(most <= allowed, "{most} calls for one key, in {outage:?}");
        }
    }
}
