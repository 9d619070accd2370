//! The writer, which puts credentials and revokes them over a connection that holds.

use std::time::Duration;

use credcache_client::{Client, Lifetime, Put, Target};
use fastrand::Rng;
use tokio::time::{MissedTickBehavior, interval};

use crate::issuer::{Issuer, NAMESPACES, PUT, Place, TAGS};

pub(crate) const LIFETIME: Lifetime = Lifetime::Ttl(Duration::from_secs(600));
/// The duration of a round, so that the rounds span many outages.
const PACE: Duration = Duration::from_millis(3);
/// The number of rounds for which a namespace is written to without a break.
const STRETCH: u64 = 300;

/// Runs the rounds. Each has a Put, and a revocation of something that was put before.
pub(crate) async fn run(client: &Client, issuer: &Issuer, rounds: u64) {
    let mut rng = Rng::with_seed(1);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for place in Place::all().filter(|place| place.key < PUT) {
        put(client, issuer, place).await;
    }
    for round in 0..rounds {
        pace.tick().await;
        let namespace = (round / STRETCH) as usize % NAMESPACES.len();
        let any = |rng: &mut Rng, keys| Place {
            namespace,
            key: rng.usize(..keys),
        };
        put(client, issuer, any(&mut rng, PUT)).await;
        let place = any(&mut rng, crate::issuer::KEYS);
        let target = match rng.u8(..100) {
            0..80 => Target::Key(place.key().into()),
            80..92 => Target::KeyPrefix(place.prefix().into()),
            92..97 => Target::Tag(rng.choice(TAGS).unwrap().into()),
            _ => Target::All,
        };
        let last = issuer.last_issued();
        let answer = client.invalidate(place.namespace(), target.clone()).await;
        answer.unwrap();
        issuer.revoked(namespace, &target, last);
    }
}

pub(crate) async fn put(client: &Client, issuer: &Issuer, place: Place) {
    let (value, tag) = issuer.issue(place);
    let put = Put::new(place.namespace(), place.key(), value, LIFETIME).tag(tag);
    client.put(put).await.unwrap();
}
