//! Calls that run beside a wide invalidation or wait for a lease, on one thread.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tonic::Request;

use super::{Instance, Service, proto};
use credcache_core::{Cache, Count, Limits, Now, TierCount, TierSpec};

use crate::clock::{Clock, ManualClock};
use proto::{
    credential_cache_service_server::CredentialCacheService, get_response::Outcome,
    invalidate_request::Target, put_request::Lifetime,
};

const ENTRIES: u64 = 5_000;

pub(super) fn service() -> Service {
    let tier = TierSpec {
        name: "hour".into(),
        max_ttl: Duration::from_secs(3600),
        capacity: 64 * 1024 * 1024,
    };
    let cache = Arc::new(Cache::new(vec![tier], Limits::DEFAULT).unwrap());
    let clock = Arc::new(Clock::Manual(Arc::new(ManualClock::new(Now::default()))));
    let instance = Instance::new(Now::default().wall).unwrap();
    Service::new(cache, clock, instance)
}

fn put(service: &Service, key: &str) {
    let hour = prost_types::Duration {
        seconds: 3600,
        nanos: 0,
    };
    let request = proto::PutRequest {
        namespace: "aws".into(),
        key: key.into(),
        value: Bytes::from_static(b"token"),
        lifetime: Some(Lifetime::Ttl(hour)),
        ..Default::default()
    };
    service.serve_put(&request).unwrap();
}

fn held(service: &Service) -> u64 {
    let counts = service.cache.counts(None);
    let tiers = service.cache.tiers();
    tiers
        .map(|(tier, _)| counts.of_tier(tier, TierCount::Entries))
        .sum()
}

/// Polls a future once, without the runtime.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}

/// Lets the ready tasks run, but not the tasks that have yielded.
async fn next_in_line() {
    let mut is_back = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_back, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn revoking(service: &Service) -> tokio::task::JoinHandle<u64> {
    let service = service.clone();
    let request = proto::InvalidateRequest {
        namespace: "aws".into(),
        target: Some(Target::KeyPrefix("old/".into())),
        ..Default::default()
    };
    tokio::spawn(async move {
        let answer = service.invalidate(Request::new(request)).await.unwrap();
        answer.into_inner().removed
    })
}

/// A service with credentials to revoke, and a call that has begun to revoke them.
async fn half_way() -> (Service, tokio::task::JoinHandle<u64>) {
    let service = service();
    for nth in 0..ENTRIES {
        put(&service, &format!("old/{nth}"));
    }
    let call = revoking(&service);
    while service.cache.counts(None).of(Count::Invalidations) == 0 {
        next_in_line().await;
    }
    let left = held(&service);
    assert!((1..ENTRIES).contains(&left), "{left} are left");
    (service, call)
}

#[tokio::test]
async fn calls_are_answered_while_a_wide_invalidation_is_under_way() {
    let (service, call) = half_way().await;
    put(&service, "old/new");
    let request = proto::GetRequest {
        namespace: "aws".into(),
        key: "old/new".into(),
        ..Default::default()
    };
    let answer = now(service.get(Request::new(request))).expect("at once");
    let outcome = answer.unwrap().into_inner().outcome;
    assert!(matches!(outcome, Some(Outcome::Credential(_))));
    assert!(held(&service) > 1 && !call.is_finished());

    assert_eq!(call.await.unwrap(), ENTRIES);
    assert_eq!(held(&service), 1);
}

#[tokio::test]
async fn wide_invalidation_goes_on_when_its_caller_goes_away() {
    let (service, call) = half_way().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    while held(&service) > 0 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn wide_invalidation_that_began_is_through_when_the_runtime_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let (service, call) = runtime.block_on(half_way());
    assert!(held(&service) > 0 && !call.is_finished());
    drop(runtime);
    assert_eq!(held(&service), 0);
}

/// A Get that waits for the key's lease, polled once.
async fn waiting(service: &Service) -> BoxedGet {
    let service = service.clone();
    let mut call: BoxedGet = Box::pin(async move {
        let request = proto::GetRequest {
            namespace: "aws".into(),
            key: "key".into(),
            acquire_lease: true,
            wait: Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            }),
            ..Default::default()
        };
        let answer = service.get(Request::new(request)).await;
        answer.unwrap().into_inner().lease.is_some()
    });
    assert!(now(call.as_mut()).is_none(), "it waits");
    call
}

type BoxedGet = std::pin::Pin<Box<dyn Future<Output = bool>>>;

#[tokio::test]
async fn lease_is_taken_only_once_it_is_known_that_the_caller_is_there() {
    let service = service();
    let request = proto::GetRequest {
        namespace: "aws".into(),
        key: "key".into(),
        acquire_lease: true,
        ..Default::default()
    };
    let holder = service.get(Request::new(request)).await.unwrap();
    assert!(holder.into_inner().lease.is_some());
    let mut leaving = waiting(&service).await;
    let mut staying = waiting(&service).await;
    let later = Now {
        boot: credcache_core::BootTime::from_boot(Duration::from_secs(10)),
        ..Now::default()
    };
    service.cache.reclaim(later);
    // Woken by the lease, and then by the bytes that come on its connection.
    for _ in 0..2 {
        assert!(
            now(leaving.as_mut()).is_none(),
            "the lease is taken too early"
        );
    }
    drop(leaving);
    service.cache.reclaim(later);
    let answered = tokio::time::timeout(Duration::from_secs(30), staying.as_mut());
    assert!(answered.await.unwrap(), "the next waiter gets the lease");
}
