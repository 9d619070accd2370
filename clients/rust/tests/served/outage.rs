//! Without the cache, its callers go on.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use credcache_client::{
    Client, Code, Error, FetchOptions, GetOrFetchError, Measured, Metrics, OnOutage, Target,
};
use tokio::{net::TcpListener, sync::Semaphore, time::Instant};

use crate::{
    fake::{Fake, granted},
    get_or_fetch::{Issuer, call, value},
};

/// A client of a port that nobody listens on.
async fn of_nobody() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    Client::builder().connect_lazy(&address).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_caller_fetches_for_the_process_while_there_is_no_server() {
    const CALLERS: usize = 50;
    let client = of_nobody().await;
    let issuer = Issuer::default();
    let go_on = Arc::new(Semaphore::new(0));
    let calls: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, issuer, go_on) = (client.clone(), issuer.clone(), Arc::clone(&go_on));
            tokio::spawn(async move {
                let fetch = move || {
                    let (issuer, go_on) = (issuer.clone(), Arc::clone(&go_on));
                    async move {
                        let _permit = go_on.acquire().await.unwrap();
                        issuer.fetch()
                    }
                };
                let options = FetchOptions::default().keep_in_outage(Duration::ZERO);
                client
                    .get_or_fetch_with("aws", "reader", options, fetch)
                    .await
            })
        })
        .collect();
    // The time is up when nobody has anything left to do but to wait for the one
    // who fetches: each call has given the cache up, which takes it a second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    go_on.add_permits(1);
    for call in calls {
        assert_eq!(value(call.await.unwrap()), "fetched 1");
    }
    assert_eq!(issuer.fetches(), 1);
    // Who comes later doesn't get what was fetched for those: it isn't kept.
    assert_eq!(
        value(self::call(&client, &issuer).await.unwrap()),
        "fetched 2"
    );
}

#[tokio::test]
async fn outage_is_the_callers_if_that_is_asked_for() {
    let client = of_nobody().await;
    let issuer = Issuer::default();
    let options = FetchOptions::default().on_outage(OnOutage::Fail);
    let fetch = {
        let issuer = issuer.clone();
        move || std::future::ready(issuer.fetch())
    };
    let outcome = client
        .get_or_fetch_with("aws", "reader", options, fetch)
        .await;
    assert!(
        matches!(outcome, Err(GetOrFetchError::Cache(_))),
        "{outcome:?}"
    );
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn server_that_is_silent_costs_a_part_of_the_timeout() {
    let mut server = Fake::start().await;
    let timeout = Duration::from_secs(2);
    let issuer = Issuer::default();
    let begun = Instant::now();
    let outcome = call(&server.client().with_timeout(timeout), &issuer);
    let _unanswered = server.get().await;
    assert_eq!(value(outcome.await.unwrap()), "fetched 1");
    let passed = begun.elapsed();
    assert!(passed >= timeout / 4 && passed < timeout, "{passed:?}");
}

#[tokio::test]
async fn what_cannot_be_stored_is_handed_out_all_the_same() {
    let mut server = Fake::start().await;
    let outcome = call(&server.client(), &Issuer::default());
    server.get().await.answer(granted("lease"));
    server.put().await.refuse(Code::Internal, "INTERNAL");
    let credential = outcome.await.unwrap().unwrap();
    assert_eq!(credential.value.expose(), b"fetched 1");
    assert_eq!((credential.version, &credential.tier[..]), (0, ""));
    let abandon = server.abandon().await;
    assert_eq!(&abandon.request.lease_token[..], b"lease");
    abandon.answer(Default::default());
}

#[tokio::test]
async fn server_without_room_for_a_lease_still_stores() {
    let mut server = Fake::start().await;
    let outcome = call(&server.client(), &Issuer::default());
    let get = server.get().await;
    get.refuse(Code::ResourceExhausted, "TOO_MANY_LEASES");
    let put = server.put().await;
    assert!(put.request.lease_token.is_empty());
    // Else a revocation while it was being fetched would be lost.
    assert!(put.request.issued_at.is_some());
    put.refuse(Code::Aborted, "REVOKED");
    let get = server.get().await;
    get.refuse(Code::ResourceExhausted, "TOO_MANY_LEASES");
    server.put().await.answer(crate::fake::stored(5));
    assert_eq!(value(outcome.await.unwrap()), "fetched 2");
}

#[tokio::test]
async fn caller_that_may_not_ask_is_told_and_does_not_fetch() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let outcome = call(&server.client(), &issuer);
    let get = server.get().await;
    get.refuse(Code::PermissionDenied, "NOT_GRANTED");
    let error = outcome.await.unwrap().unwrap_err();
    assert!(matches!(error, GetOrFetchError::Cache(_)), "{error:?}");
    assert_eq!(issuer.fetches(), 0);
}

// Found when 50 keys, asked for all the time, cost 2,838 fetches in the four
// seconds that the cache was away.
#[tokio::test]
async fn what_was_fetched_in_an_outage_is_kept_for_those_who_ask_next() {
    let client = of_nobody().await;
    let issuer = Issuer::default();
    for _ in 0..20 {
        assert_eq!(value(call(&client, &issuer).await.unwrap()), "fetched 1");
    }
    // One who wants more than is left of it doesn't get it.
    let options = FetchOptions::default().min_ttl(crate::fake::TTL);
    let fetch = {
        let issuer = issuer.clone();
        move || std::future::ready(issuer.fetch())
    };
    let outcome = client.get_or_fetch_with("aws", "reader", options, fetch);
    assert_eq!(value(outcome.await), "fetched 2");
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn what_this_process_revokes_in_an_outage_is_not_handed_out_any_more() {
    let client = of_nobody().await;
    let issuer = Issuer::default();
    for (fetches, target) in [
        (1, Target::Key("reader".into())),
        (2, Target::KeyVersion("reader".into(), 3)),
        (3, Target::KeyPrefix("read".into())),
        (4, Target::Tag("prod".into())),
        (5, Target::All),
    ] {
        for _ in 0..2 {
            let credential = value(call(&client, &issuer).await.unwrap());
            assert_eq!(credential, format!("fetched {fetches}"));
        }
        let revoked = client.invalidate("aws", target).await;
        assert!(revoked.unwrap_err().is_outage());
    }
}

#[tokio::test]
async fn silent_server_is_waited_for_once_and_asked_in_the_background_until_it_is_back() {
    let mut server = Fake::start().await;
    let issuer = Issuer::default();
    let timeout = Duration::from_secs(2);
    let client = server.client().with_timeout(timeout);
    let first = call(&client, &issuer);
    let _unanswered = server.get().await;
    assert_eq!(value(first.await.unwrap()), "fetched 1");
    // In the background, and in vain: it is silent still.
    let _stored_too_late = server.put().await;

    let begun = Instant::now();
    let probe = loop {
        assert_eq!(value(call(&client, &issuer).await.unwrap()), "fetched 1");
        if let Some(probe) = server.asked() {
            break probe;
        }
        tokio::task::yield_now().await;
    };
    assert!(!probe.request.acquire_lease);
    for _ in 0..100 {
        assert_eq!(value(call(&client, &issuer).await.unwrap()), "fetched 1");
    }
    let passed = begun.elapsed();
    assert!(passed < timeout / 4 + timeout / 4, "{passed:?}");
    assert!(server.asked().is_none(), "one question at a time");

    probe.answer(crate::fake::hit("cached", 3));
    let back = loop {
        let outcome = call(&client, &issuer);
        tokio::select! {
            get = server.get() => {
                assert!(get.request.acquire_lease);
                get.answer(crate::fake::hit("cached", 3));
                break outcome;
            }
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    };
    assert_eq!(value(back.await.unwrap()), "cached");
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn outage_that_is_known_is_told_at_once() {
    let mut server = Fake::start().await;
    let client = server.client().with_timeout(Duration::from_secs(2));
    let options = FetchOptions::default().on_outage(OnOutage::Fail);
    let outcome = || {
        let client = client.clone();
        tokio::spawn(async move {
            let fetch = || std::future::ready(Issuer::default().fetch());
            client
                .get_or_fetch_with("aws", "reader", options, fetch)
                .await
                .map(|_| ())
        })
    };
    let first = outcome();
    let _unanswered = server.get().await;
    let error = first.await.unwrap().unwrap_err();
    assert!(matches!(
        error,
        GetOrFetchError::Cache(Error::DeadlineExceeded)
    ));
    let begun = Instant::now();
    let error = outcome().await.unwrap().unwrap_err();
    assert!(
        matches!(error, GetOrFetchError::Cache(Error::Unreachable(_))),
        "{error:?}"
    );
    assert!(begun.elapsed() < Duration::from_millis(400));
}

#[derive(Default)]
struct Told(Mutex<Vec<Measured>>);

impl Metrics for Told {
    fn record(&self, measured: Measured) {
        self.0.lock().unwrap().push(match measured {
            Measured::Fetched { .. } => Measured::Fetched {
                took: Duration::ZERO,
            },
            other => other,
        });
    }
}

#[tokio::test]
async fn what_a_client_does_is_told() {
    let mut server = Fake::start().await;
    let told = Arc::new(Told::default());
    let timeout = Duration::from_secs(2);
    let builder = Client::builder().timeout(timeout).metrics(told.clone());
    let client = server.client_with(builder);
    let issuer = Issuer::default();
    let first = call(&client, &issuer);
    server.get().await.answer(crate::fake::hit("cached", 3));
    first.await.unwrap().unwrap();
    let second = call(&client, &issuer);
    let _unanswered = server.get().await;
    second.await.unwrap().unwrap();
    call(&client, &issuer).await.unwrap().unwrap();
    let took = Duration::ZERO;
    let expected = [
        Measured::Hit,
        Measured::Away,
        Measured::Fetched { took },
        Measured::KeptHit,
    ];
    assert_eq!(told.0.lock().unwrap()[..], expected);
}
