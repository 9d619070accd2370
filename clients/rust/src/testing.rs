//! For tests of programs that use this crate: a server in the test's own process, and
//! credentials made by hand.
//!
//! ```
//! use std::time::Duration;
//!
//! use credcache_client::{FetchError, Fetched, Lifetime, Secret, testing};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let mut credential = testing::credential("token", Duration::from_secs(60));
//! credential.version = 7;
//!
//! let server = testing::Server::start().await.unwrap();
//! let client = server.client();
//! let fetch = || async {
//!     let lifetime = Lifetime::Ttl(Duration::from_secs(60));
//!     Ok::<_, FetchError<()>>(Fetched::new(Secret::new("token"), lifetime))
//! };
//! let fetched = client.get_or_fetch("oauth", "billing", fetch).await.unwrap();
//! assert_eq!(fetched.value.as_str(), Some("token"));
//!
//! server.set_unavailable(true);
//! assert!(client.get("oauth", "billing").await.is_err());
//! # });
//! ```

mod server;
mod service;
mod state;
mod store;

use std::time::Duration;

use crate::{Credential, Secret, clock::BootInstant};

pub use server::Server;

/// Makes a credential that expires after `ttl`, with nothing more than a value. Its
/// other fields can be set.
///
/// ```
/// use std::time::Duration;
///
/// use credcache_client::testing;
///
/// let mut credential = testing::credential("token", Duration::from_secs(60));
/// credential.tier = "1-hour".into();
/// assert_eq!(credential.value.as_str(), Some("token"));
/// ```
pub fn credential(value: impl Into<Vec<u8>>, ttl: Duration) -> Credential {
    Credential::until(Secret::new(value), BootInstant::now().after(ttl))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Error, FetchError, Fetched, GetOptions, Lifetime, Lookup, MissReason, NearCache, Put,
        Target,
    };

    const MINUTE: Duration = Duration::from_secs(60);

    fn put(value: &str) -> Put {
        let value = Secret::new(value);
        Put::new("aws", "reader", value, Lifetime::Ttl(MINUTE)).tag("prod")
    }

    fn reason(lookup: &Lookup) -> Option<MissReason> {
        match lookup {
            Lookup::Hit(_) => None,
            Lookup::Miss(miss) => Some(miss.reason),
        }
    }

    #[tokio::test]
    async fn what_is_put_is_a_hit_until_it_is_revoked_or_ends() {
        let server = Server::start().await.unwrap();
        let client = server.client();
        let none = client.get("aws", "reader").await.unwrap();
        assert_eq!(reason(&none), Some(MissReason::NotFound));
        for target in [
            Target::Key("reader".into()),
            Target::KeyPrefix("read".into()),
            Target::Tag("prod".into()),
            Target::All,
        ] {
            let version = client.put(put("token")).await.unwrap().version;
            let hit = client.get("aws", "reader").await.unwrap().hit().unwrap();
            assert_eq!((hit.value.as_str(), hit.version), (Some("token"), version));
            assert!(hit.remaining() <= MINUTE);
            let revoked = client.invalidate("aws", target).await.unwrap();
            assert_eq!(revoked.removed, 1);
            let miss = client.get("aws", "reader").await.unwrap();
            assert_eq!(reason(&miss), Some(MissReason::Revoked));
        }
        let short = Lifetime::Ttl(Duration::from_millis(20));
        let short = Put::new("aws", "short", Secret::new("token"), short);
        client.put(short).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let miss = client.get("aws", "short").await.unwrap();
        assert_eq!(reason(&miss), Some(MissReason::Expired));
    }

    #[tokio::test]
    async fn preconditions_and_batches_are_those_of_the_contract() {
        let server = Server::start().await.unwrap();
        let client = server.client();
        let version = client.put(put("first")).await.unwrap().version;
        let live = client.put(put("second").if_absent()).await.unwrap_err();
        assert_eq!(live.reason(), Some("KEY_LIVE"));
        let differs = client.put(put("second").if_version(version + 1)).await;
        assert_eq!(differs.unwrap_err().reason(), Some("VERSION_DIFFERS"));
        client.put(put("second").if_version(version)).await.unwrap();
        let batch = client.batch_get("aws", ["reader", "writer"], None).await;
        let batch = batch.unwrap();
        assert!(matches!(&batch[0], Lookup::Hit(hit) if hit.value.as_str() == Some("second")));
        assert_eq!(reason(&batch[1]), Some(MissReason::NotFound));
    }

    #[tokio::test]
    async fn one_caller_fetches_and_the_others_wait() {
        let server = Server::start().await.unwrap();
        let client = server.client();
        let options = GetOptions::default().acquire_lease(true);
        let holder = client.lookup("aws", "reader", options).await.unwrap();
        let lease = holder.lease.unwrap();
        let pending = client.lookup("aws", "reader", options).await.unwrap();
        assert_eq!(reason(&pending.lookup), Some(MissReason::Pending));

        let waiting = GetOptions::default().wait(MINUTE);
        let (waited, stored) = tokio::join!(
            client.get_with("aws", "reader", waiting),
            client.put(put("token").lease(&lease)),
        );
        assert_eq!(
            waited.unwrap().hit().unwrap().version,
            stored.unwrap().version
        );

        let lost = client.put(put("another").lease(&lease)).await;
        assert!(lost.is_ok() || lost.unwrap_err().reason() == Some("LEASE_LOST"));
    }

    #[tokio::test]
    async fn fill_from_before_a_revocation_is_refused() {
        let server = Server::start().await.unwrap();
        let client = server.client();
        let options = GetOptions::default().acquire_lease(true);
        let holder = client.lookup("aws", "reader", options).await.unwrap();
        let lease = holder.lease.unwrap();
        client.invalidate("aws", Target::All).await.unwrap();
        let refused = client.put(put("token").lease(&lease)).await.unwrap_err();
        assert!(
            matches!(refused.reason(), Some("REVOKED" | "LEASE_LOST")),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn failed_fetch_keeps_the_others_from_fetching_for_a_while() {
        let server = Server::start().await.unwrap();
        let client = server.client();
        let fetch = || std::future::ready(Err::<Fetched, _>(FetchError::permanent("down")));
        let failed = client.get_or_fetch("aws", "reader", fetch).await;
        assert!(failed.is_err());
        let options = GetOptions::default().acquire_lease(true);
        let cool_down = client.lookup("aws", "reader", options).await.unwrap();
        assert!(cool_down.lease.is_none());
        assert!(
            matches!(cool_down.lookup, Lookup::Miss(miss) if miss.retry_after > Some(MINUTE / 4))
        );
    }

    #[tokio::test]
    async fn near_cache_is_told_what_changes() {
        let server = Server::start().await.unwrap();
        let client = server.client();
        client.put(put("token")).await.unwrap();
        let near = NearCache::builder(client.clone()).namespace("aws").build();
        near.watching().await;
        near.get("aws", "reader").await.unwrap();
        assert!(near.cached("aws", "reader").is_some());
        client.invalidate("aws", Target::All).await.unwrap();
        while near.cached("aws", "reader").is_some() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn server_that_is_unavailable_answers_nothing() {
        let server = Server::start().await.unwrap();
        let client = server.client();
        server.set_unavailable(true);
        let error = client.get("aws", "reader").await.unwrap_err();
        assert!(error.is_outage(), "{error}");
        server.set_unavailable(false);
        assert!(!matches!(
            client.get("aws", "reader").await,
            Err(Error::Refused(_))
        ));
    }

    #[test]
    fn credential_made_by_hand_is_live_for_its_time() {
        let made = credential("token", MINUTE);
        assert!(made.remaining() <= MINUTE && !made.remaining().is_zero());
        assert!(credential("token", Duration::ZERO).remaining().is_zero());
    }
}
