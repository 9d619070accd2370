//! A stored credential is returned for as long as it lives, and not an instant longer.

mod expiry;
mod invalidation;
mod limits;
mod refresh;
mod tiers;

use std::time::Duration;

use credcache_client::{
    Client, Credential, Lifetime, Lookup, MissReason, Put, Secret, Stored,
    proto::{self, GetRequest, get_response::Outcome},
};

use crate::fixture::{Running, START, TWO_TIERS, config, within};

const NANOSECOND: Duration = Duration::from_nanos(1);

/// A Put in `aws` with this lifetime.
fn put(key: &str, ttl: Duration) -> Put {
    put_in("aws", key, ttl)
}

fn put_in(namespace: &str, key: &str, ttl: Duration) -> Put {
    // The end is absolute, on the clock that the server starts with: the client would subtract the
    // real time that has passed from a relative lifetime.
    let end = Lifetime::ExpiresAt(std::time::UNIX_EPOCH + START + ttl);
    Put::new(namespace, key, Secret::new("token"), end)
}

async fn stored(client: &Client, put: Put) -> Stored {
    within(client.put(put)).await.unwrap()
}

async fn looked_up(client: &Client, namespace: &str, key: &str) -> Lookup {
    within(client.get(namespace, key)).await.unwrap()
}

async fn hit(client: &Client, key: &str) -> Credential {
    looked_up(client, "aws", key).await.hit().expect("a hit")
}

/// The server's own answer, however little lifetime is left. A client checks the lifetime once
/// more, when the credential may have expired.
async fn answer(server: &Running, key: &str, min_ttl: Duration) -> Outcome {
    let request = GetRequest {
        namespace: "aws".into(),
        key: key.into(),
        min_ttl: Some(min_ttl.try_into().unwrap()),
        ..Default::default()
    };
    let mut stub = server.stub().await;
    let response = within(stub.get(request)).await.unwrap();
    response.into_inner().outcome.unwrap()
}

async fn live(server: &Running, key: &str) -> proto::Credential {
    match answer(server, key, Duration::ZERO).await {
        Outcome::Credential(credential) => credential,
        Outcome::Miss(miss) => panic!("{miss:?}"),
    }
}

async fn miss(client: &Client, key: &str) -> MissReason {
    reason(looked_up(client, "aws", key).await)
}

fn reason(lookup: Lookup) -> MissReason {
    match lookup {
        Lookup::Hit(_) => panic!("a hit"),
        Lookup::Miss(miss) => miss.reason,
    }
}

#[tokio::test]
async fn every_field_comes_back_as_it_was_put() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let value: Vec<u8> = (0..=u8::MAX).collect();
    let lifetime = Lifetime::ExpiresAt(std::time::UNIX_EPOCH + START + Duration::new(30, 5));
    let put = Put::new("aws", "rôle/reader", Secret::new(value.clone()), lifetime)
        .attribute("region", "eu-west-1")
        .attribute("", "")
        .tag("prod")
        .tag("Team a")
        .tag("prod")
        .refresh_before(Duration::from_secs(10));
    let stored = stored(&client, put).await;
    assert_eq!(stored.tier, "short");
    server.time.pass(Duration::from_secs(1));

    let credential = hit(&client, "rôle/reader").await;
    assert_eq!(credential.value.expose(), value);
    assert_eq!(credential.expires_at, stored.expires_at);
    let expires_at = std::time::UNIX_EPOCH + START + Duration::new(30, 5);
    assert_eq!(credential.expires_at, expires_at);
    let refresh_at = expires_at - Duration::from_secs(10);
    assert_eq!(credential.refresh_at, refresh_at);
    assert!(credential.remaining() <= Duration::new(29, 5));
    assert_eq!(credential.version, stored.version);
    assert_eq!(credential.tier, "short");
    let attributes = [("", ""), ("region", "eu-west-1")];
    let attributes = attributes.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(credential.attributes, attributes.into());
    assert_eq!(credential.tags, ["Team a", "prod"]);
}

#[tokio::test]
async fn parts_of_a_name_never_run_into_each_other() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let minute = Duration::from_secs(60);
    stored(&client, put_in("ab", "cd", minute)).await;
    for (namespace, key) in [("a", "bcd"), ("abc", "d"), ("ab", "c"), ("ab", "cd\0")] {
        let lookup = looked_up(&client, namespace, key).await;
        assert_eq!(reason(lookup), MissReason::NotFound, "{namespace} {key}");
    }
    stored(&client, put_in("a", "bcd", minute).attribute("of", "a")).await;
    let ab = looked_up(&client, "ab", "cd").await.hit().unwrap();
    assert!(ab.attributes.is_empty());
    let a = looked_up(&client, "a", "bcd").await.hit().unwrap();
    assert_eq!(a.attributes["of"], "a");
}
