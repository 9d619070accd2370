//! Answers that are under way for longer than what they carry lives. All that
//! these tests wait for is time.

use std::time::Duration;

use credcache_client::{
    Client, Credential, FetchError, FetchOptions, Fetched, GetOptions, GetOrFetchError, Lifetime,
    Lookup, MissReason, NearCache, Secret,
};
use tokio::time::sleep;

use crate::{
    fake::{Call, Fake, TTL, granted, heartbeat, hit, hit_for, miss, result},
    get_or_fetch::{Issuer, call, value},
    proto::{self, BatchGetResponse, GetRequest, GetResponse},
};

const SHORT: Duration = Duration::from_millis(200);

/// Answers with a hit that has ended when it arrives.
async fn answer_late(get: Call<GetRequest, GetResponse>) {
    sleep(SHORT).await;
    get.answer(hit_for("ended", 3, SHORT));
}

fn reason(lookup: &Lookup) -> Option<MissReason> {
    match lookup {
        Lookup::Hit(_) => None,
        Lookup::Miss(miss) => Some(miss.reason),
    }
}

// Found when an answer that was held up for 900 ms was returned with nothing left
// of its lifetime.
#[tokio::test]
async fn hit_that_ended_on_its_way_is_asked_for_once_more() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (lookup, ()) = tokio::join!(client.get("aws", "reader"), async {
        answer_late(server.get().await).await;
        server.get().await.answer(hit("the next one", 4));
    });
    assert_eq!(lookup.unwrap().hit().unwrap().version, 4);

    let (lookup, ()) = tokio::join!(client.get("aws", "reader"), async {
        answer_late(server.get().await).await;
        answer_late(server.get().await).await;
    });
    assert_eq!(reason(&lookup.unwrap()), Some(MissReason::Expired));

    // That there is no second answer doesn't make the first one an error.
    let (lookup, ()) = tokio::join!(client.get("aws", "reader"), async {
        answer_late(server.get().await).await;
        let get = server.get().await;
        get.refuse(tonic::Code::Internal, "INTERNAL");
    });
    assert_eq!(reason(&lookup.unwrap()), Some(MissReason::Expired));
    assert!(server.is_idle());
}

#[tokio::test]
async fn min_ttl_is_what_is_left_when_it_is_returned() {
    let mut server = Fake::start().await;
    let client = server.client();
    let options = GetOptions::default().min_ttl(TTL);
    let (lookup, ()) = tokio::join!(client.get_with("aws", "reader", options), async {
        // As much as was asked for, when it was sent.
        server.get().await.answer(hit_for("token", 3, TTL));
        server.get().await.answer(hit_for("token", 3, TTL));
    });
    assert_eq!(reason(&lookup.unwrap()), Some(MissReason::TtlTooShort));
}

#[tokio::test]
async fn lease_beside_a_hit_that_ended_on_its_way_is_not_lost() {
    let mut server = Fake::start().await;
    let client = server.client();
    let options = GetOptions::default().acquire_lease(true);
    let (answer, ()) = tokio::join!(client.lookup("aws", "reader", options), async {
        let get = server.get().await;
        sleep(SHORT).await;
        get.answer(crate::fake::leased(hit_for("ended", 3, SHORT), "lease"));
    });
    let answer = answer.unwrap();
    assert_eq!(reason(&answer.lookup), Some(MissReason::Expired));
    assert_eq!(answer.lease.unwrap().token.expose(), b"lease");
    assert!(server.is_idle());
}

#[tokio::test]
async fn what_ended_in_a_batch_is_asked_for_once_more() {
    let mut server = Fake::start().await;
    let client = server.client();
    let keys = ["a", "b", "c"];
    let (lookups, ()) = tokio::join!(client.batch_get("aws", keys, None), async {
        let batch = server.batch_get().await;
        sleep(SHORT).await;
        let ended = || result(hit_for("ended", 3, SHORT));
        let results = vec![ended(), result(hit("good", 4)), ended()];
        batch.answer(BatchGetResponse { results });
        let batch = server.batch_get().await;
        assert_eq!(batch.request.keys, ["a", "c"]);
        sleep(SHORT).await;
        let results = vec![result(hit("next", 5)), ended()];
        batch.answer(BatchGetResponse { results });
    });
    let lookups = lookups.unwrap();
    let versions: Vec<_> = lookups
        .iter()
        .map(|lookup| match lookup {
            Lookup::Hit(credential) => Some(credential.version),
            Lookup::Miss(_) => None,
        })
        .collect();
    assert_eq!(versions, [Some(5), Some(4), None]);
    assert_eq!(reason(&lookups[2]), Some(MissReason::Expired));
}

#[tokio::test]
async fn near_cache_hands_out_no_answer_that_ended_on_its_way() {
    let mut server = Fake::start().await;
    let near = NearCache::builder(server.client()).namespace("aws").build();
    let (_, events) = server.watch().await;
    events.send(heartbeat("one", 10)).await.unwrap();
    near.watching().await;
    let (lookup, ()) = tokio::join!(near.get("aws", "reader"), async {
        answer_late(server.get().await).await;
        server
            .get()
            .await
            .answer(miss(proto::MissReason::Expired, None));
    });
    assert!(matches!(lookup, Ok(Lookup::Miss(miss)) if miss.reason == MissReason::Expired));
}

#[tokio::test]
async fn hit_that_ended_on_its_way_is_fetched() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    answer_late(server.get().await).await;
    server.get().await.answer(granted("lease"));
    server.put().await.answer(crate::fake::stored(8));
    assert_eq!(value(outcome.await.unwrap()), "fetched 1");
}

#[tokio::test]
async fn what_ends_on_its_way_each_time_is_an_error_that_says_so() {
    let mut server = Fake::start().await;
    let outcome = call(&server.client(), &Issuer::default());
    for _ in 0..3 {
        answer_late(server.get().await).await;
    }
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::Expired), "{error:?}");
}

fn fetch_for(client: &Client, ttl: Duration) -> tokio::task::JoinHandle<Option<Credential>> {
    let client = client.clone();
    tokio::spawn(async move {
        let fetch = move || {
            let token = Secret::new("short-lived");
            std::future::ready(Ok::<_, FetchError<()>>(Fetched::new(
                token,
                Lifetime::Ttl(ttl),
            )))
        };
        let options = FetchOptions::default();
        let fetched = client.get_or_fetch_with("aws", "reader", options, fetch);
        fetched.await.ok()
    })
}

// Found when a credential was handed out 1.6 s past its end, which it had reached
// while it was being stored.
#[tokio::test]
async fn storing_takes_no_more_than_half_of_a_short_life() {
    let mut server = Fake::start().await;
    let life = Duration::from_secs(1);
    let fetched = fetch_for(&server.client(), life);
    server.get().await.answer(granted("lease"));
    let _unanswered = server.put().await;
    let credential = fetched.await.unwrap().unwrap();
    let remaining = credential.remaining();
    assert!(!remaining.is_zero(), "it has ended");
    assert!(remaining <= life / 2, "{remaining:?}");
    assert_eq!(credential.version, 0);
    server.abandon().await.answer(Default::default());
}
