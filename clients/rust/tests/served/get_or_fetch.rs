//! Who fetches, what becomes of it, and who is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use credcache_client::{
    Client, Code, Credential, FetchError, FetchOptions, Fetched, GetOrFetchError, Lifetime, Secret,
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::fake::{Fake, TTL, granted, granted_for, hit, leased, miss, pending, span, stored};
use crate::proto::{ExtendLeaseResponse, MissReason};

type Outcome = Result<Credential, GetOrFetchError<&'static str>>;

/// An issuer that counts, and answers with the number of the fetch.
#[derive(Clone, Default)]
pub(crate) struct Issuer(Arc<AtomicU32>);

impl Issuer {
    pub(crate) fn fetches(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn fetch(&self) -> Result<Fetched, FetchError<&'static str>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let value = Secret::new(format!("fetched {number}"));
        Ok(Fetched::new(value, Lifetime::Ttl(TTL)).tag("prod"))
    }
}

pub(crate) fn call(client: &Client, issuer: &Issuer) -> JoinHandle<Outcome> {
    let (client, issuer) = (client.clone(), issuer.clone());
    tokio::spawn(async move {
        let fetch = move || std::future::ready(issuer.fetch());
        client.get_or_fetch("aws", "reader", fetch).await
    })
}

pub(crate) fn value(outcome: Outcome) -> String {
    String::from_utf8(outcome.unwrap().value.expose().to_vec()).unwrap()
}

#[tokio::test]
async fn hit_is_handed_out_without_a_fetch() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    let get = server.get().await;
    assert!(get.request.acquire_lease && get.request.wait.is_none());
    get.answer(hit("cached", 3));
    assert_eq!(value(outcome.await.unwrap()), "cached");
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn holder_of_the_lease_fetches_and_stores() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    let get = server.get().await;
    // So that a holder that vanishes costs no more.
    let three_seconds = Duration::from_secs(3);
    assert_eq!(get.request.lease_ttl, Some(span(three_seconds)));
    get.answer(granted("lease"));
    let put = server.put().await;
    assert_eq!(
        (&put.request.namespace[..], &put.request.key[..]),
        ("aws", "reader")
    );
    assert_eq!(&put.request.lease_token[..], b"lease");
    assert_eq!(put.request.tags, ["prod"]);
    assert_eq!(put.request.issued_at, None);
    put.answer(stored(8));
    let credential = outcome.await.unwrap().unwrap();
    assert_eq!(credential.value.expose(), b"fetched 1");
    assert_eq!(
        (credential.version, &credential.tier[..]),
        (8, "15-minutes")
    );
    assert!(credential.remaining() <= TTL);
    assert!(server.is_idle());
}

#[tokio::test]
async fn the_others_wait_at_the_server() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    server.get().await.answer(pending());
    let waiting = server.get().await;
    let wait = Duration::try_from(waiting.request.wait.unwrap()).unwrap();
    assert!(wait >= Duration::from_secs(1), "{wait:?}");
    waiting.answer(hit("somebody's", 4));
    assert_eq!(value(outcome.await.unwrap()), "somebody's");
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn closed_gate_is_told_and_nobody_fetches() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    let closed_for = Duration::from_secs(9);
    let closed = miss(MissReason::NotFound, Some(closed_for));
    server.get().await.answer(closed);
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::Closed { .. }), "{error:?}");
    assert_eq!(error.retry_after(), Some(closed_for));
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn what_was_revoked_while_it_was_fetched_is_not_handed_out() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    server.get().await.answer(granted("first"));
    server.put().await.refuse(Code::Aborted, "REVOKED");
    let abandon = server.abandon().await;
    assert_eq!(&abandon.request.lease_token[..], b"first");
    assert_eq!(abandon.request.retry_after, None);
    abandon.refuse(Code::Aborted, "LEASE_LOST");
    server.get().await.answer(granted("second"));
    server.put().await.answer(stored(9));
    assert_eq!(value(outcome.await.unwrap()), "fetched 2");
}

#[tokio::test]
async fn what_is_revoked_every_time_is_an_error_in_the_end() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    for _ in 0..3 {
        server.get().await.answer(granted("lease"));
        server.put().await.refuse(Code::Aborted, "REVOKED");
        server.abandon().await.refuse(Code::Aborted, "LEASE_LOST");
    }
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::Revoked), "{error:?}");
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn who_lost_the_lease_takes_what_the_next_one_stored() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    server.get().await.answer(granted("lease"));
    server.put().await.refuse(Code::Aborted, "LEASE_LOST");
    server.get().await.answer(hit("the next one's", 5));
    assert_eq!(value(outcome.await.unwrap()), "the next one's");
    assert!(server.is_idle());
}

#[tokio::test]
async fn who_loses_every_lease_falls_back_to_what_it_fetched() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    for _ in 0..3 {
        server.get().await.answer(granted("lease"));
        server.put().await.refuse(Code::Aborted, "LEASE_LOST");
    }
    assert_eq!(value(outcome.await.unwrap()), "fetched 3");
}

#[tokio::test]
async fn what_was_late_is_void_once_it_may_have_been_revoked() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    server.get().await.answer(granted("lease"));
    server.put().await.refuse(Code::Aborted, "LEASE_LOST");
    for _ in 0..2 {
        server.get().await.answer(granted("lease"));
        server.put().await.refuse(Code::Aborted, "REVOKED");
        server.abandon().await.refuse(Code::Aborted, "LEASE_LOST");
    }
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::Revoked), "{error:?}");
}

#[tokio::test]
async fn failed_fetch_closes_the_gate_for_as_long_as_it_says() {
    let mut server = Fake::start().await;
    let client = server.client();
    let seconds = Duration::from_secs;
    for (failure, closed_for) in [
        (FetchError::retryable("busy"), seconds(1)),
        (FetchError::permanent("no such role"), seconds(30)),
        (
            FetchError::retryable("throttled").retry_after(seconds(7)),
            seconds(7),
        ),
    ] {
        let client = client.clone();
        let outcome = tokio::spawn(async move {
            let fetch = move || std::future::ready(Err::<Fetched, _>(failure));
            client.get_or_fetch("aws", "reader", fetch).await
        });
        server.get().await.answer(granted("lease"));
        let abandon = server.abandon().await;
        assert_eq!(abandon.request.retry_after, Some(span(closed_for)));
        abandon.answer(Default::default());
        let error = outcome.await.unwrap().unwrap_err();
        assert!(matches!(error, GetOrFetchError::Fetch(_)), "{error:?}");
    }
}

#[tokio::test]
async fn hit_that_is_due_is_handed_out_while_the_next_one_is_fetched() {
    let mut server = Fake::start().await;
    let client = server.client();
    let go_on = Arc::new(Notify::new());
    let issuer = Issuer::default();
    let fetch = {
        let (go_on, issuer) = (Arc::clone(&go_on), issuer.clone());
        move || {
            let (go_on, issuer) = (Arc::clone(&go_on), issuer.clone());
            async move {
                go_on.notified().await;
                issuer.fetch()
            }
        }
    };
    let (outcome, ()) = tokio::join!(client.get_or_fetch("aws", "reader", fetch), async {
        let get = server.get().await;
        get.answer(leased(hit("still good", 3), "lease"));
    });
    assert_eq!(value(outcome), "still good");
    assert_eq!(issuer.fetches(), 0);
    go_on.notify_one();
    let put = server.put().await;
    assert_eq!(&put.request.lease_token[..], b"lease");
    put.answer(stored(4));
}

#[tokio::test]
async fn fetch_goes_on_when_its_caller_is_gone() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let issuer = Issuer::default();
    let fetch = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move || {
            let (begun, go_on, issuer) = (Arc::clone(&begun), Arc::clone(&go_on), issuer.clone());
            async move {
                begun.notify_one();
                go_on.notified().await;
                issuer.fetch()
            }
        }
    };
    let caller = tokio::spawn(async move { client.get_or_fetch("aws", "reader", fetch).await });
    server.get().await.answer(granted("lease"));
    begun.notified().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go_on.notify_one();
    let put = server.put().await;
    assert_eq!(&put.request.lease_token[..], b"lease");
    put.answer(stored(4));
}

#[tokio::test]
async fn panic_in_the_fetch_gives_the_lease_back() {
    let mut server = Fake::start().await;
    let client = server.client();
    let outcome = tokio::spawn(async move {
        let fetch = || async { panic!("a defect of the fetch") };
        client
            .get_or_fetch::<_, _, FetchError<()>>("aws", "reader", fetch)
            .await
    });
    server.get().await.answer(granted("lease"));
    let abandon = server.abandon().await;
    assert_eq!(&abandon.request.lease_token[..], b"lease");
    assert!(abandon.request.retry_after.is_some());
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::Panicked), "{error:?}");
}

#[tokio::test]
async fn fetch_that_takes_too_long_gives_the_lease_back() {
    let mut server = Fake::start().await;
    let client = server.client();
    let options = FetchOptions::default().fetch_timeout(Duration::from_millis(10));
    let outcome = tokio::spawn(async move {
        let fetch = std::future::pending::<Result<Fetched, FetchError<()>>>;
        client
            .get_or_fetch_with("aws", "reader", options, fetch)
            .await
    });
    server.get().await.answer(granted("lease"));
    server.abandon().await.answer(Default::default());
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::TimedOut), "{error:?}");
}

#[tokio::test]
async fn caller_who_waits_in_vain_is_told_so_at_its_deadline() {
    let mut server = Fake::start().await;
    let client = server.client();
    let issuer = Issuer::default();
    let options = FetchOptions::default().timeout(Duration::from_millis(400));
    let outcome = tokio::spawn({
        let issuer = issuer.clone();
        async move {
            let fetch = move || std::future::ready(issuer.fetch());
            client
                .get_or_fetch_with("aws", "reader", options, fetch)
                .await
        }
    });
    server.get().await.answer(pending());
    let _unanswered = server.get().await;
    let error = outcome.await.unwrap().unwrap_err();
    assert!(
        matches!(error, GetOrFetchError::Pending { .. }),
        "{error:?}"
    );
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn what_the_cache_refuses_to_store_is_an_error_to_see() {
    let mut server = Fake::start().await;
    let outcome = call(&server.client(), &Issuer::default());
    server.get().await.answer(granted("lease"));
    server.put().await.refuse_field("tier");
    server.abandon().await.answer(Default::default());
    let error = outcome.await.unwrap().unwrap_err();
    let GetOrFetchError::Cache(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.reason(), Some("INVALID_FIELD"));
}

#[tokio::test]
async fn value_that_is_too_large_to_store_is_handed_out() {
    let mut server = Fake::start().await;
    let client = server.client();
    for refusal in ["value", "message"] {
        let outcome = call(&client, &Issuer::default());
        server.get().await.answer(granted("lease"));
        let put = server.put().await;
        if refusal == "value" {
            put.refuse_field("value");
        } else {
            put.fail(tonic::Status::out_of_range("the message is too large"));
        }
        let credential = outcome.await.unwrap().unwrap();
        assert_eq!(credential.value.expose(), b"fetched 1");
        assert_eq!(credential.version, 0);
        // Those who wait fetch for themselves, and needn't wait for the lease's end.
        let abandon = server.abandon().await;
        assert_eq!(abandon.request.retry_after, None);
        abandon.answer(Default::default());
    }
}

#[tokio::test]
async fn what_had_ended_when_the_issuer_answered_it_is_the_issuers_fault() {
    let mut server = Fake::start().await;
    let client = server.client();
    let outcome = tokio::spawn(async move {
        let fetch = || async {
            let long_ago = Lifetime::ExpiresAt(std::time::SystemTime::UNIX_EPOCH);
            Ok::<_, FetchError<()>>(Fetched::new(Secret::new("token"), long_ago))
        };
        client.get_or_fetch("aws", "reader", fetch).await
    });
    server.get().await.answer(granted("lease"));
    server.abandon().await.answer(Default::default());
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::IssuedEnded), "{error:?}");
}

// Found when an issuer that took longer than a lease was asked by everybody, and
// nothing of it was stored.
#[tokio::test]
async fn lease_is_extended_while_the_fetch_runs_and_no_longer() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (go_on, issuer) = (Arc::new(Notify::new()), Issuer::default());
    let short = Duration::from_millis(300);
    for loses_it in [false, true] {
        let fetch = {
            let (go_on, issuer) = (Arc::clone(&go_on), issuer.clone());
            move || {
                let (go_on, issuer) = (Arc::clone(&go_on), issuer.clone());
                async move {
                    go_on.notified().await;
                    issuer.fetch()
                }
            }
        };
        let client = client.clone();
        let outcome =
            tokio::spawn(async move { client.get_or_fetch("aws", "reader", fetch).await });
        server.get().await.answer(granted_for("lease", short));
        for _ in 0..2 {
            let extension = server.extension().await;
            assert_eq!(&extension.request.lease_token[..], b"lease");
            assert_eq!(
                extension.request.lease_ttl,
                Some(span(Duration::from_secs(3)))
            );
            extension.answer(ExtendLeaseResponse {
                ttl: Some(span(short)),
            });
        }
        // One that doesn't get there is tried again.
        server.extension().await.refuse(Code::Internal, "INTERNAL");
        let extension = server.extension().await;
        if loses_it {
            extension.refuse(Code::Aborted, "LEASE_LOST");
        } else {
            extension.answer(ExtendLeaseResponse {
                ttl: Some(span(short)),
            });
        }
        go_on.notify_one();
        let put = server.put().await;
        assert_eq!(&put.request.lease_token[..], b"lease");
        // Longer than it would take to extend it once more.
        tokio::time::sleep(short).await;
        assert!(server.is_idle(), "the fetch is over");
        put.answer(stored(8));
        assert_eq!(outcome.await.unwrap().unwrap().version, 8);
    }
}
