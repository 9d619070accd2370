//! A restart of the server: another instance, whose versions begin anew.

use std::{sync::Arc, time::Duration};

use credcache_client::{Lookup, NearCache, Target};

use crate::{
    BOUND,
    issuer::{Issuer, NAMESPACES, PUT, Place, now, number},
    link::Which,
    mesh::Reader,
    server::{self, Running},
    writer,
};

const NAMESPACE: usize = 0;
const NEVER: Duration = Duration::from_secs(30);

/// Waits for the condition. Fails where it never holds.
async fn until(condition: impl Fn() -> bool) {
    let waits = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(NEVER, waits).await.unwrap();
}

fn places() -> impl Iterator<Item = Place> {
    Place::all().filter(|place| place.namespace == NAMESPACE && place.key < PUT)
}

fn kept(near: &NearCache, place: Place) -> Option<u64> {
    let credential = near.cached(place.namespace(), place.key())?;
    Some(number(&credential))
}

/// The number of the credential in the server.
async fn get(near: &NearCache, place: Place) -> Option<u64> {
    match near.get(place.namespace(), place.key()).await.unwrap() {
        Lookup::Hit(credential) => Some(number(&credential)),
        Lookup::Miss(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart_of_the_server_voids_everything_kept() {
    let issuer = Arc::new(Issuer::new());
    let first = Running::start().await;
    let client = server::client(first.address).await;
    let mut readers = Vec::new();
    for seed in 0..2 {
        readers.push(Reader::start(seed, first.address).await);
    }
    // These versions are higher than any version of the second instance.
    for _ in 0..10 {
        for place in places() {
            writer::put(&client, &issuer, place).await;
        }
    }
    let last_of_first = issuer.last_issued();
    for reader in &readers {
        // The near cache keeps the credentials once the events of these Puts have come.
        for place in places() {
            loop {
                get(&reader.near, place).await.unwrap();
                if kept(&reader.near, place).is_some() {
                    break;
                }
            }
        }
    }

    for reader in &readers {
        reader.link.refuse(true);
        reader.link.cut(Which::All);
    }
    drop(client);
    first.stop().await;
    let second = Running::start().await;
    let client = server::client(second.address).await;
    let mut revoked = Vec::new();
    for place in places().take(PUT / 2) {
        writer::put(&client, &issuer, place).await;
        let last = issuer.last_issued();
        let target = Target::Key(place.key().into());
        let answer = client.invalidate(place.namespace(), target.clone()).await;
        answer.unwrap();
        issuer.revoked(NAMESPACE, &target, last);
        revoked.push(place);
    }
    for reader in &readers {
        reader.link.lead_to(second.address);
        reader.link.refuse(false);
    }

    for Reader { near, .. } in &readers {
        let resets = || near.stats(NAMESPACES[NAMESPACE]).unwrap().resets;
        until(|| resets() == 1).await;
        near.watching().await;
        for place in places() {
            assert_eq!(kept(near, place), None);
            assert_eq!(get(near, place).await, None);
        }
        // The next heartbeats don't make earlier credentials fresh.
        let until_proved = now() + BOUND;
        until(|| {
            assert!(places().all(|place| kept(near, place).is_none()));
            now() > until_proved
        })
        .await;
    }
    for place in revoked {
        writer::put(&client, &issuer, place).await;
        for Reader { near, .. } in &readers {
            let number = get(near, place).await.unwrap();
            assert!(number > last_of_first, "from the first instance");
        }
    }
    for reader in readers {
        reader.stop().await;
    }
}
