//! At which points a batch yields the thread to other calls.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use credcache_core::{BootTime, Cache, Count, Now, WallTime};

use credcache::{
    clock::{Clock, ManualClock},
    rpc::{
        BatchGetRequest, BatchPutRequest, Instance, Service,
        proto::{
            batch_put_result::Outcome, credential_cache_service_server::CredentialCacheService,
        },
    },
};
use credcache_client::proto;
use prost::Message;
use tonic::Request;

use super::message;
use crate::fixture::{START, TWO_TIERS, config};

/// The number of items between two pauses.
const AT_A_TIME: usize = 64;

fn at(passed: Duration) -> Now {
    Now {
        wall: WallTime::from_unix(START + passed),
        boot: BootTime::from_boot(Duration::from_secs(1000) + passed),
    }
}

fn service() -> (Service, Arc<Cache>, Arc<ManualClock>) {
    let config = config(TWO_TIERS);
    let cache = Cache::new(config.tiers.clone(), config.limits.cache);
    let cache = Arc::new(cache.unwrap());
    let hand = Arc::new(ManualClock::new(at(Duration::ZERO)));
    let clock = Arc::new(Clock::Manual(Arc::clone(&hand)));
    let instance = Instance::new(clock.now().wall).unwrap();
    let service = Service::new(cache.clone(), clock, instance);
    (service, cache, hand)
}

/// A thousand Puts that live for a minute, in the server's own type.
fn puts() -> Request<BatchPutRequest> {
    use proto::put_request::Lifetime;
    let mut put = message("k");
    let end = START.as_secs() + 60;
    put.lifetime = Some(Lifetime::ExpiresAt(prost_types::Timestamp {
        seconds: end.try_into().unwrap(),
        nanos: 0,
    }));
    let requests = vec![put; 1000];
    let bytes = proto::BatchPutRequest { requests }.encode_to_vec();
    Request::new(BatchPutRequest::decode(&bytes[..]).unwrap())
}

#[tokio::test]
async fn batch_put_pauses_and_judges_what_follows_by_the_time_it_is_then() {
    let (service, _, clock) = service();
    let mut call = pin!(service.batch_put(puts()));
    let mut polls = 0;
    let answer = poll_fn(|cx| {
        polls += 1;
        if polls == 3 {
            clock.set(at(Duration::from_secs(60)));
        }
        call.as_mut().poll(cx)
    });
    let results = answer.await.unwrap().into_inner().results;
    assert_eq!(polls, 1000_usize.div_ceil(AT_A_TIME));
    assert_eq!(results.len(), 1000);
    for (nth, result) in results.iter().enumerate() {
        let stored = matches!(result.outcome, Some(Outcome::Response(_)));
        assert_eq!(stored, nth < 2 * AT_A_TIME, "{nth}");
    }
}

#[tokio::test]
async fn batch_put_whose_caller_goes_away_ends_at_the_next_pause() {
    let (service, cache, _) = service();
    {
        let mut call = pin!(service.batch_put(puts()));
        let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(first.is_pending());
    }
    assert_eq!(cache.counts(None).of(Count::Puts), AT_A_TIME as u64);
}

#[tokio::test]
async fn batch_get_never_pauses_between_the_clocks_and_the_answer() {
    let (service, ..) = service();
    let request = proto::BatchGetRequest {
        namespace: "aws".into(),
        keys: vec!["k".into(); 1000],
        min_ttl: None,
    };
    let request = BatchGetRequest::decode(&request.encode_to_vec()[..]).unwrap();
    let mut call = pin!(service.batch_get(Request::new(request)));
    let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
    assert!(matches!(first, Poll::Ready(Ok(_))));
}
