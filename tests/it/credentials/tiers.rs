//! The tier of a credential, and what Stats reports about it.

use std::time::{Duration, UNIX_EPOCH};

use credcache_client::{GetOptions, Lifetime, MissReason, Put, Secret, Stats, Target, TierStats};

use super::{NANOSECOND, hit, live, looked_up, miss, put, put_in, stored};
use crate::fixture::{Running, START, TWO_TIERS, config, entries, within};

const MINUTE: Duration = Duration::from_secs(60);

fn tier<'a>(stats: &'a Stats, name: &str) -> &'a TierStats {
    let mut tiers = stats.tiers.iter();
    tiers.find(|tier| tier.name == name).expect("such a tier")
}

#[tokio::test]
async fn smallest_tier_that_covers_the_lifetime_is_chosen() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    for (ttl, tier, lifetime) in [
        (NANOSECOND, "short", NANOSECOND),
        (MINUTE, "short", MINUTE),
        (MINUTE + NANOSECOND, "long", MINUTE + NANOSECOND),
        (MINUTE * 60, "long", MINUTE * 60),
        (MINUTE * 999, "long", MINUTE * 60),
    ] {
        let stored = stored(&client, put("reader", ttl)).await;
        assert_eq!(stored.tier, tier);
        assert_eq!(stored.expires_at, UNIX_EPOCH + START + lifetime);
        assert_eq!(live(&server, "reader").await.tier, tier);
    }
}

#[tokio::test]
async fn lifetime_is_cut_to_the_tier_that_was_named() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let long = put("reader", MINUTE).tier("long");
    assert_eq!(stored(&client, long).await.tier, "long");

    let until = Lifetime::ExpiresAt(UNIX_EPOCH + START + MINUTE * 30);
    let cut = Put::new("aws", "reader", Secret::new("token"), until).tier("short");
    let cut = stored(&client, cut).await;
    let end = UNIX_EPOCH + START + MINUTE;
    assert_eq!((cut.tier.as_str(), cut.expires_at), ("short", end));
    server.time.pass(MINUTE - NANOSECOND);
    assert_eq!(live(&server, "reader").await.expires_at, Some(end.into()));
    server.time.pass(NANOSECOND);
    assert_eq!(miss(&client, "reader").await, MissReason::Expired);
}

#[tokio::test]
async fn put_replaces_the_key_in_whichever_tier_it_was() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let mut last = 0;
    for (ttl, name, other) in [
        (MINUTE, "short", "long"),
        (MINUTE * 2, "long", "short"),
        (MINUTE, "short", "long"),
    ] {
        let version = stored(&client, put("reader", ttl)).await.version;
        assert!(version > last);
        last = version;
        assert_eq!(hit(&client, "reader").await.version, version);
        let stats = within(client.stats(None)).await.unwrap();
        assert_eq!(tier(&stats, name).entries, 1);
        assert!(tier(&stats, name).used_bytes > 0);
        assert_eq!(tier(&stats, other).entries, 0);
        assert_eq!(tier(&stats, other).used_bytes, 0);
        assert_eq!(tier(&stats, name).evictions, 0);
    }
}

#[tokio::test]
async fn stats_count_what_happened_and_where() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let fresh = within(client.stats(None)).await.unwrap();
    assert_eq!(fresh.server.started_at, UNIX_EPOCH + START);
    assert_eq!(fresh.server.instance_id.len(), 32);
    assert_eq!(fresh.hit_ratio(), None);

    stored(&client, put("reader", MINUTE)).await;
    stored(&client, put("writer", MINUTE * 2)).await;
    stored(&client, put_in("oauth", "billing", MINUTE)).await;
    for key in ["reader", "reader", "writer"] {
        hit(&client, key).await;
    }
    miss(&client, "nobody").await;
    let options = GetOptions::default().min_ttl(MINUTE * 9);
    within(client.get_with("aws", "reader", options))
        .await
        .unwrap();
    let refused = within(client.put(put("reader", MINUTE).if_absent())).await;
    assert!(refused.is_err());
    server.time.pass(MINUTE);
    looked_up(&client, "oauth", "billing").await;
    let revoked = Target::Key("writer".into());
    let revision = within(client.invalidate("aws", revoked))
        .await
        .unwrap()
        .revision;

    let whole = within(client.stats(None)).await.unwrap();
    assert_eq!(whole.server, fresh.server);
    assert_eq!((whole.hits, whole.puts, whole.puts_refused), (3, 3, 1));
    let misses = whole.misses;
    assert_eq!(
        (misses.not_found, misses.expired, misses.ttl_too_short),
        (1, 1, 1)
    );
    assert_eq!((whole.invalidations, whole.invalidated), (1, 1));
    assert_eq!((whole.namespaces, whole.revision), (2, revision));
    assert_eq!(
        (tier(&whole, "short").hits, tier(&whole, "long").hits),
        (2, 1)
    );
    assert_eq!(tier(&whole, "long").entries, 0);
    let short = tier(&whole, "short");
    assert_eq!((short.max_ttl, short.capacity_bytes), (MINUTE, 2 << 20));

    let oauth = within(client.stats(Some("oauth"))).await.unwrap();
    assert_eq!((oauth.hits, oauth.puts, oauth.puts_refused), (0, 1, 0));
    assert_eq!((oauth.misses.total(), oauth.misses.expired), (1, 1));
    assert_eq!(oauth.invalidations, 0);
    let nobody = within(client.stats(Some("nobody"))).await.unwrap();
    assert_eq!(
        (nobody.puts, nobody.misses.total(), entries(&nobody)),
        (0, 0, 0)
    );
}
