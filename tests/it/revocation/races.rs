//! Fetchers against a caller that revokes what they fetch, over real sockets.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use credcache_client::proto::{
    GetRequest, InvalidateRequest, PutRequest, get_response::Outcome, invalidate_request::Target,
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    fixture::{Running, Stub, config, within},
    messages::{SECOND, asking, duration, fill, invalidate, reason, stats},
};

const KEYS: usize = 12;
const FETCHERS: u64 = 8;
const GETS: u64 = 24_000;

/// Issues tokens. Each token contains its key and its generation.
#[derive(Default)]
struct Issuer {
    generations: [AtomicU64; KEYS],
    /// The lowest generation of each key that may still be returned: the generation at the call of
    /// the last Invalidate that has answered.
    floors: [AtomicU64; KEYS],
    gets: AtomicU64,
    hits: AtomicU64,
    refused: AtomicU64,
    is_over: AtomicBool,
}

/// Two groups of keys by prefix, and two by tag, which overlap.
fn key(nth: usize) -> String {
    format!("{}/{nth}", ["a", "b"][nth % 2])
}

fn tag(nth: usize) -> &'static str {
    ["low", "high"][usize::from(nth >= KEYS / 2)]
}

impl Issuer {
    fn issue(&self, nth: usize) -> String {
        format!("{nth} {}", self.generations[nth].load(SeqCst))
    }

    /// Fails if the token belongs to another key, or to a generation that was revoked before the
    /// Get began.
    fn check(&self, nth: usize, token: &[u8], floor: u64) {
        let token = std::str::from_utf8(token).unwrap();
        let (of, generation) = token.split_once(' ').unwrap();
        assert_eq!(of, nth.to_string());
        let generation: u64 = generation.parse().unwrap();
        assert!(
            generation >= floor,
            "generation {generation} came back, {floor} is the least"
        );
        self.hits.fetch_add(1, SeqCst);
    }

    async fn fetch(&self, mut stub: Stub, seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        while self.gets.fetch_add(1, SeqCst) < GETS {
            let nth = rng.usize(0..KEYS);
            let request = GetRequest {
                acquire_lease: rng.u8(0..4) > 0,
                wait: rng.bool().then(|| duration(SECOND)),
                ..asking(&key(nth))
            };
            let floor = self.floors[nth].load(SeqCst);
            let answer = stub.get(request).await.unwrap().into_inner();
            if let Some(Outcome::Credential(credential)) = &answer.outcome {
                self.check(nth, &credential.value, floor);
            }
            let Some(lease) = answer.lease else {
                continue;
            };
            let put = PutRequest {
                value: self.issue(nth).into(),
                tags: vec![tag(nth).into()],
                ..fill(&key(nth), &lease)
            };
            // A longer fetch lets more happen in between.
            for _ in 0..rng.u8(0..40) {
                tokio::task::yield_now().await;
            }
            if let Err(status) = stub.put(put).await {
                assert_eq!(status.code(), Code::Aborted);
                assert!(["REVOKED", "LEASE_LOST"].contains(&&*reason(&status)));
                self.refused.fetch_add(1, SeqCst);
            }
        }
        self.is_over.store(true, SeqCst);
    }

    /// Revokes at the issuer first and then in the cache, which is the required order.
    async fn revoke(&self, mut stub: Stub, seed: u64) -> u64 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut rounds = 0;
        while !self.is_over.load(SeqCst) {
            let nth = rng.usize(0..KEYS);
            let (target, matches): (_, Box<dyn Fn(usize) -> bool + Send>) = match rng.u8(0..8) {
                0..4 => (Target::Key(key(nth)), Box::new(move |of| of == nth)),
                4 | 5 => {
                    let prefix = key(nth)[..2].to_owned();
                    (
                        Target::KeyPrefix(prefix),
                        Box::new(move |of| of % 2 == nth % 2),
                    )
                }
                6 => {
                    let tag_of = tag(nth);
                    (
                        Target::Tag(tag_of.into()),
                        Box::new(move |of| tag(of) == tag_of),
                    )
                }
                _ => (Target::All(true), Box::new(|_| true)),
            };
            let revoked: Vec<_> = (0..KEYS)
                .filter(|of| matches(*of))
                .map(|of| (of, self.generations[of].fetch_add(1, SeqCst) + 1))
                .collect();
            let request: InvalidateRequest = invalidate(target);
            stub.invalidate(request).await.unwrap();
            for (of, generation) in revoked {
                self.floors[of].fetch_max(generation, SeqCst);
            }
            rounds += 1;
            // A pause, so that there are hits in between.
            for _ in 0..rng.u8(0..100) {
                tokio::task::yield_now().await;
            }
        }
        rounds
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_comes_back_once_its_revocation_was_answered() {
    let server = Running::start(&config("")).await;
    let issuer = Arc::new(Issuer::default());
    let mut fetchers = JoinSet::new();
    for seed in 0..FETCHERS {
        let (issuer, stub) = (issuer.clone(), server.stub().await);
        fetchers.spawn(async move { issuer.fetch(stub, seed).await });
    }
    let mut revokers = JoinSet::new();
    for seed in 0..2 {
        let (issuer, stub) = (issuer.clone(), server.stub().await);
        revokers.spawn(async move { issuer.revoke(stub, seed).await });
    }
    while let Some(fetched) = within(fetchers.join_next()).await {
        fetched.unwrap();
    }
    let mut rounds = 0;
    while let Some(revoked) = within(revokers.join_next()).await {
        rounds += revoked.unwrap();
    }
    // Without hits and refusals, the test proves nothing.
    let (hits, refused) = (issuer.hits.load(SeqCst), issuer.refused.load(SeqCst));
    println!("{hits} hits, {refused} Puts refused, {rounds} invalidations");
    assert!(hits > GETS / 20, "{hits} hits");
    assert!(refused > 100, "{refused} Puts refused");
    assert!(rounds > 200, "{rounds} invalidations");
    let waiting = stats(&mut server.stub().await)
        .await
        .leases
        .unwrap()
        .waiting;
    assert_eq!(waiting, 0);
}
