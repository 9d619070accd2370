//! The three programs.

use std::{sync::Arc, time::Duration};

use credcache_client::{Client, Fetched, NearCache, Target};
use fastrand::Rng;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    issuer::{Issuer, KEYS, NAMESPACE, key, now},
    link::Link,
    verdict::{Verdict, polled},
};

const TASKS: u64 = 200;
const NEAR_GETTERS: u64 = 8;
const NEAR_FETCHERS: u64 = 8;

async fn connect(link: &Link) -> Client {
    Client::connect(&link.address.to_string()).await.unwrap()
}

/// A program that calls `get_or_fetch` from many tasks.
pub(crate) struct Program {
    pub(crate) client: Client,
    tasks: JoinSet<()>,
}

impl Program {
    pub(crate) async fn start(link: &Link, issuer: &Arc<Issuer>, verdict: &Arc<Verdict>) -> Self {
        let client = connect(link).await;
        let mut tasks = JoinSet::new();
        for seed in 0..TASKS {
            let (client, issuer) = (client.clone(), Arc::clone(issuer));
            let verdict = Arc::clone(verdict);
            tasks.spawn(async move {
                let mut rng = Rng::with_seed(seed);
                loop {
                    let number = rng.usize(..KEYS);
                    let (key, fetch) = (key(number), fetch(&issuer, number));
                    let call = client.get_or_fetch(NAMESPACE, &key, fetch);
                    match polled(call).await {
                        (Ok(credential), at) => verdict.returned(&issuer, &credential, at),
                        (Err(error), _) => verdict.failed(&error),
                    }
                    sleep(Duration::from_millis(rng.u64(20..100))).await;
                }
            });
        }
        Self { client, tasks }
    }

    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

fn fetch(
    issuer: &Arc<Issuer>,
    number: usize,
) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<Fetched, String>> + Send>>
+ Send
+ Sync
+ 'static {
    let issuer = Arc::clone(issuer);
    move || {
        let issuer = Arc::clone(&issuer);
        Box::pin(async move {
            sleep(Duration::from_millis(fastrand::u64(2..30))).await;
            Ok(issuer.issue(number))
        })
    }
}

/// A near cache and its callers.
pub(crate) struct Near {
    near: NearCache,
    tasks: JoinSet<()>,
}

impl Near {
    pub(crate) async fn start(link: &Link, issuer: &Arc<Issuer>, verdict: &Arc<Verdict>) -> Self {
        let client = connect(link).await;
        let near = NearCache::builder(client).namespace(NAMESPACE).build();
        near.watching().await;
        let mut tasks = JoinSet::new();
        for seed in 0..NEAR_GETTERS + NEAR_FETCHERS {
            let (near, issuer) = (near.clone(), Arc::clone(issuer));
            let verdict = Arc::clone(verdict);
            let mut rng = Rng::with_seed(1_000 + seed);
            tasks.spawn(async move {
                loop {
                    let number = rng.usize(..KEYS);
                    let begun = now();
                    if seed < NEAR_GETTERS {
                        let (lookup, at) = polled(near.get(NAMESPACE, &key(number))).await;
                        if let Some(credential) = lookup.ok().and_then(|lookup| lookup.hit()) {
                            verdict.returned(&issuer, &credential, at);
                            verdict.near(&issuer, &credential, begun);
                        }
                    } else {
                        let (key, fetch) = (key(number), fetch(&issuer, number));
                        let call = near.get_or_fetch(NAMESPACE, &key, fetch);
                        match polled(call).await {
                            (Ok(credential), at) => verdict.returned(&issuer, &credential, at),
                            (Err(error), _) => verdict.failed(&error),
                        }
                    }
                    sleep(Duration::from_millis(rng.u64(2..20))).await;
                }
            });
        }
        Self { near, tasks }
    }

    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
        drop(self.near);
    }
}

/// A program that revokes one key after the other, over a link that holds.
pub(crate) struct Revoker(JoinSet<()>);

impl Revoker {
    pub(crate) async fn start(link: &Link, issuer: &Arc<Issuer>) -> Self {
        let client = connect(link).await.with_timeout(Duration::from_secs(1));
        let issuer = Arc::clone(issuer);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut rng = Rng::with_seed(7);
            loop {
                sleep(Duration::from_millis(rng.u64(50..250))).await;
                let number = rng.usize(..KEYS);
                let count = issuer.issued_up_to_now();
                let target = Target::Key(key(number));
                if client.invalidate(NAMESPACE, target).await.is_ok() {
                    issuer.revoked(number, count);
                }
            }
        });
        Self(tasks)
    }

    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}
