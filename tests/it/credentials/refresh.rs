//! The time at which a credential becomes due. The core implements the rule, and the client
//! implements it once more for credentials that it returns before they are stored.

use std::{sync::Mutex, time::Duration};

use credcache_client::{Client, FetchOptions, Fetched, Lifetime, Secret};

use super::hit;
use crate::fixture::{Running, config, within};

/// How long before its end a credential is due according to the client that fetched it. The server
/// has refused to store the credential, so the client computes the time itself.
async fn by_the_client(client: &Client, lifetime: Duration) -> Duration {
    let too_large = Secret::new(vec![7; 65 * 1024]);
    let fetched = Mutex::new(Some(Fetched::new(too_large, Lifetime::Ttl(lifetime))));
    let fetch = || async { fetched.lock().unwrap().take().ok_or("fetched twice") };
    let options = FetchOptions::default();
    let credential = client.get_or_fetch_in_place("aws", "too large", options, fetch);
    let credential = within(credential).await.unwrap();
    assert_eq!(credential.version, 0);
    let lead = credential.expires_at.duration_since(credential.refresh_at);
    lead.unwrap()
}

/// How long before its end a credential is due according to the server.
async fn by_the_server(client: &Client, lifetime: Duration) -> Duration {
    let put = super::put("reader", lifetime);
    super::stored(client, put).await;
    let credential = hit(client, "reader").await;
    let lead = credential.expires_at.duration_since(credential.refresh_at);
    lead.unwrap()
}

#[tokio::test]
async fn client_and_server_agree_when_a_credential_is_due() {
    let server = Running::start(&config("")).await;
    let client = server.client().await;
    let minute = Duration::from_secs(60);
    // At a lifetime where the rule changes, the time that passes before the server counts would
    // decide the outcome.
    let around = [20, 21, 30, 44, 60, 89, 91, 132, 150, 400, 719];
    let minutes = (1..=12).chain(around).map(|minutes| minutes * minute);
    let seconds = [7, 59, 61, 600, 1_199, 1_210, 1_319, 5_399, 5_410, 7_919];
    let seconds = seconds.map(Duration::from_secs);
    for lifetime in minutes.chain(seconds) {
        let least = by_the_client(&client, lifetime).await;
        let lead = by_the_server(&client, lifetime).await;
        // The client counts from before its fetch, and adds no jitter.
        let passed = Duration::from_secs(5);
        assert!(lead + passed >= least, "{lifetime:?}: {lead:?}, {least:?}");
        let most = least + least / 10 + passed;
        assert!(lead <= most, "{lifetime:?}: {lead:?}, {least:?}");
    }
}
