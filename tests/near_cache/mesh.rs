//! The readers: near caches over links of their own, and their callers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use credcache_client::{Client, FetchError, FetchOptions, Fetched, Lookup, NearCache};
use fastrand::Rng;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    issuer::{Issuer, KEYS, NAMESPACES, PUT, Place, now},
    link::Link,
    verdict::Verdict,
    weather::{self, Weather},
    writer::LIFETIME,
};

/// The callers of each near cache that only get: a caller that hangs on a stalled connection
/// doesn't hold up the others.
const GETTERS: u64 = 8;
const FETCHERS: u64 = 2;

pub(crate) struct Reader {
    pub(crate) near: NearCache,
    pub(crate) link: Arc<Link>,
    weather: Arc<Weather>,
    tasks: JoinSet<()>,
}

impl Reader {
    pub(crate) async fn start(seed: u64, server: SocketAddr) -> Self {
        let link = Arc::new(Link::to(server).await);
        // Half of the callers wait for delayed answers; the others give up.
        let timeout = [400, 5000][seed as usize % 2];
        let client = Client::builder()
            .timeout(Duration::from_millis(timeout))
            .connect(&link.address.to_string().parse().unwrap())
            .await
            .unwrap();
        let near = NAMESPACES
            .into_iter()
            .fold(NearCache::builder(client), |near, name| {
                near.namespace(name)
            })
            .build();
        near.watching().await;
        Self {
            near,
            link,
            weather: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Begins to read, and to break the link.
    pub(crate) fn work(&mut self, seed: u64, issuer: &Arc<Issuer>, verdict: &Arc<Verdict>) {
        let (link, weather) = (Arc::clone(&self.link), Arc::clone(&self.weather));
        self.tasks.spawn(weather::storm(link, weather, seed));
        for caller in 0..GETTERS + FETCHERS {
            let call = Caller {
                near: self.near.clone(),
                issuer: Arc::clone(issuer),
                verdict: Arc::clone(verdict),
                weather: Arc::clone(&self.weather),
                rng: Rng::with_seed(seed * 100 + caller),
            };
            if caller < GETTERS {
                self.tasks.spawn(call.get());
            } else {
                self.tasks.spawn(call.fetch());
            }
        }
    }

    /// Stops, and returns the number of outages.
    pub(crate) async fn stop(mut self) -> u64 {
        self.tasks.shutdown().await;
        self.weather.outages.load(Ordering::SeqCst)
    }
}

struct Caller {
    near: NearCache,
    issuer: Arc<Issuer>,
    verdict: Arc<Verdict>,
    weather: Arc<Weather>,
    rng: Rng,
}

impl Caller {
    async fn get(mut self) {
        loop {
            let place = self.place(0..KEYS);
            let begun = now();
            let got = self.near.get(place.namespace(), place.key()).await;
            if let Ok(Lookup::Hit(credential)) = &got {
                self.verdict.returned(&self.issuer, credential, begun);
            }
            self.pause().await;
        }
    }

    async fn fetch(mut self) {
        loop {
            let place = self.place(PUT..KEYS);
            let (issuer, verdict) = (Arc::clone(&self.issuer), Arc::clone(&self.verdict));
            let fetch = move || {
                let (value, tag) = issuer.issue(place);
                verdict.fetches.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Ok::<_, FetchError<()>>(
                    Fetched::new(value, LIFETIME).tag(tag),
                ))
            };
            // Longer than the lease of a holder whose link is down.
            let options = FetchOptions::default().timeout(Duration::from_secs(5));
            let was_down = self.weather.is_down.load(Ordering::SeqCst);
            let begun = now();
            let near = &self.near;
            let got = near
                .get_or_fetch_with(place.namespace(), place.key(), options, fetch)
                .await;
            match &got {
                Ok(credential) => {
                    self.verdict.returned(&self.issuer, credential, begun);
                    let is_down = self.weather.is_down.load(Ordering::SeqCst);
                    if was_down && is_down && credential.version == 0 {
                        self.verdict
                            .fetched_in_outage
                            .fetch_add(1, Ordering::SeqCst);
                    }
                }
                Err(error) => self.verdict.failed(error),
            }
            self.pause().await;
        }
    }

    fn place(&mut self, keys: std::ops::Range<usize>) -> Place {
        Place {
            namespace: self.rng.usize(..NAMESPACES.len()),
            key: self.rng.usize(keys),
        }
    }

    /// Yields the processor to other tasks.
    async fn pause(&mut self) {
        sleep(Duration::from_millis(self.rng.u64(1..3))).await;
    }
}

static LONGEST: AtomicU64 = AtomicU64::new(0);

/// Measures round trips over a link that holds.
pub(crate) async fn probe(client: Client) {
    loop {
        let begun = now();
        client.get(NAMESPACES[0], "probe").await.unwrap();
        let took = (now() - begun).as_micros() as u64;
        LONGEST.fetch_max(took, Ordering::SeqCst);
        sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn longest_round_trip() -> Duration {
    Duration::from_micros(LONGEST.load(Ordering::SeqCst))
}
