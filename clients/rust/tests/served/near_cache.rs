//! What is kept in the process, and when it is given up.

use std::{sync::Arc, time::Duration};

use credcache_client::{Code, Credential, Lookup, NearCache};
use tokio::task::JoinHandle;

use crate::{
    fake::{Events, Fake, granted, heartbeat, hit, invalidated, leased, sent, span, stored},
    get_or_fetch::Issuer,
    proto::{Reset, get_response::Outcome, invalidated::Target, watch_response},
};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// A near cache whose watch of instance `one` stands at revision 10.
async fn watching(server: &mut Fake, bound: Duration) -> (NearCache, Events) {
    let near = NearCache::builder(server.client())
        .namespace("aws")
        .heartbeat_bound(bound)
        .build();
    let (request, events) = server.watch().await;
    assert_eq!((&request.namespace[..], request.start_revision), ("aws", 0));
    events.send(heartbeat("one", 10)).await.unwrap();
    near.watching().await;
    (near, events)
}

fn asked(near: &NearCache, key: &'static str) -> JoinHandle<Arc<Credential>> {
    let near = near.clone();
    tokio::spawn(async move { near.get("aws", key).await.unwrap().hit().unwrap() })
}

async fn fill(server: &mut Fake, near: &NearCache, key: &'static str) {
    let asked = asked(near, key);
    server.get().await.answer(hit("token", 3));
    asked.await.unwrap();
}

fn is_kept(near: &NearCache, key: &str) -> bool {
    near.cached("aws", key).is_some()
}

/// Ends when it is so, or with the test's own time limit.
async fn until(condition: impl Fn() -> bool) {
    let waits = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, waits).await.unwrap();
}

#[tokio::test]
async fn second_lookup_costs_no_call() {
    let mut server = Fake::start().await;
    let (near, _events) = watching(&mut server, LONG).await;
    fill(&mut server, &near, "reader").await;
    let credential = asked(&near, "reader").await.unwrap();
    assert_eq!(credential.value.expose(), b"token");
    assert!(server.is_idle());
    let stats = near.stats("aws").unwrap();
    assert_eq!((stats.hits, stats.misses, stats.entries), (1, 1, 1));
    assert!(near.stats("oauth").is_none());
}

#[tokio::test]
async fn namespace_that_is_not_watched_is_asked_for_each_time() {
    let mut server = Fake::start().await;
    let (near, _events) = watching(&mut server, LONG).await;
    for _ in 0..2 {
        let (lookup, ()) = tokio::join!(near.get("oauth", "reader"), async {
            server.get().await.answer(hit("token", 3));
        });
        assert!(matches!(lookup, Ok(Lookup::Hit(_))));
    }
}

#[tokio::test]
async fn revoked_credential_is_given_up() {
    let mut server = Fake::start().await;
    let (near, events) = watching(&mut server, LONG).await;
    for target in [
        Target::Key("reader".into()),
        Target::KeyPrefix("read".into()),
        Target::Tag("prod".into()),
        Target::All(true),
    ] {
        fill(&mut server, &near, "reader").await;
        events.send(invalidated(target, 11)).await.unwrap();
        until(|| !is_kept(&near, "reader")).await;
    }
}

#[tokio::test]
async fn answer_from_before_a_revocation_is_handed_out_but_not_kept() {
    let mut server = Fake::start().await;
    let (near, events) = watching(&mut server, LONG).await;
    fill(&mut server, &near, "other").await;
    let asked = asked(&near, "reader");
    let get = server.get().await;
    let reader = Target::Key("reader".into());
    events.send(invalidated(reader, 11)).await.unwrap();
    // Once this one has taken effect, the one before has.
    let other = Target::Key("other".into());
    events.send(invalidated(other, 12)).await.unwrap();
    until(|| !is_kept(&near, "other")).await;

    get.answer(hit("token", 3));
    assert_eq!(asked.await.unwrap().version, 3);
    assert!(!is_kept(&near, "reader"));
    fill(&mut server, &near, "reader").await;
    assert!(is_kept(&near, "reader"));
}

#[tokio::test]
async fn reset_and_another_instance_void_everything() {
    let mut server = Fake::start().await;
    let (near, events) = watching(&mut server, LONG).await;
    fill(&mut server, &near, "reader").await;
    let reset = watch_response::Event::Reset(Reset {
        instance_id: "one".into(),
    });
    events.send(sent(reset, 40)).await.unwrap();
    until(|| !is_kept(&near, "reader")).await;

    fill(&mut server, &near, "reader").await;
    events.send(heartbeat("two", 4)).await.unwrap();
    until(|| !is_kept(&near, "reader")).await;
    assert_eq!(near.stats("aws").unwrap().resets, 2);
    drop(events);
    let (request, _events) = server.watch().await;
    assert_eq!(
        (&request.instance_id[..], request.start_revision),
        ("two", 4)
    );
}

#[tokio::test]
async fn silent_watch_leaves_nothing_to_use_after_the_bound() {
    let mut server = Fake::start().await;
    let bound = Duration::from_millis(300);
    let (near, events) = watching(&mut server, bound).await;
    fill(&mut server, &near, "reader").await;
    until(|| !is_kept(&near, "reader")).await;
    fill(&mut server, &near, "reader").await;
    assert!(!is_kept(&near, "reader"));
    events.send(heartbeat("one", 10)).await.unwrap();
    until(|| is_kept(&near, "reader")).await;
}

#[tokio::test]
async fn broken_watch_goes_on_where_it_stood_and_is_believed_when_it_is_up_to_date() {
    let mut server = Fake::start().await;
    let bound = Duration::from_millis(300);
    let (near, events) = watching(&mut server, bound).await;
    fill(&mut server, &near, "kept").await;
    fill(&mut server, &near, "revoked").await;
    drop(events);
    until(|| !is_kept(&near, "kept")).await;

    let (request, events) = server.watch().await;
    assert_eq!(
        (&request.instance_id[..], request.start_revision),
        ("one", 10)
    );
    let revoked = Target::Key("revoked".into());
    events.send(invalidated(revoked, 11)).await.unwrap();
    until(|| near.stats("aws").unwrap().entries == 1).await;
    // There may be more of those still to come.
    assert!(!is_kept(&near, "kept"));
    events.send(heartbeat("one", 11)).await.unwrap();
    until(|| is_kept(&near, "kept")).await;
    assert!(!is_kept(&near, "revoked"));
}

// Found when a watcher that lagged behind took each late event for a proof that
// none was missing.
#[tokio::test]
async fn event_does_not_vouch_for_what_is_kept() {
    let mut server = Fake::start().await;
    let bound = Duration::from_millis(300);
    let (near, events) = watching(&mut server, bound).await;
    fill(&mut server, &near, "kept").await;
    fill(&mut server, &near, "revoked").await;
    until(|| !is_kept(&near, "kept")).await;

    let revoked = Target::Key("revoked".into());
    events.send(invalidated(revoked, 11)).await.unwrap();
    until(|| near.stats("aws").unwrap().entries == 1).await;
    // There may be more of those still to come.
    assert!(!is_kept(&near, "kept"));
    events.send(heartbeat("one", 11)).await.unwrap();
    until(|| is_kept(&near, "kept")).await;
}

// Found when a first heartbeat that was held up on its way counted as young.
#[tokio::test]
async fn first_heartbeat_proves_no_more_than_was_so_when_it_was_asked_for() {
    let mut server = Fake::start().await;
    let bound = Duration::from_millis(300);
    let (near, events) = watching(&mut server, bound).await;
    fill(&mut server, &near, "reader").await;
    drop(events);
    let call = server.asked_to_watch().await;
    // Longer than the bound, and all that it takes is time.
    tokio::time::sleep(bound).await;
    let (events, stream) = tokio::sync::mpsc::channel(64);
    call.answer(stream);
    events.send(heartbeat("one", 10)).await.unwrap();
    near.watching().await;
    assert!(!is_kept(&near, "reader"));
    events.send(heartbeat("one", 10)).await.unwrap();
    until(|| is_kept(&near, "reader")).await;
}

#[tokio::test]
async fn silent_connection_is_given_up() {
    let mut server = Fake::start().await;
    let bound = Duration::from_millis(300);
    let (near, events) = watching(&mut server, bound).await;
    let (request, again) = server.watch().await;
    assert_eq!(
        (&request.instance_id[..], request.start_revision),
        ("one", 10)
    );
    events.closed().await;
    again.send(heartbeat("one", 10)).await.unwrap();
    near.watching().await;
}

// Found when only heartbeats gave memory back, and secrets outlived their end by
// as long as the server was away.
#[tokio::test]
async fn what_is_void_is_given_back_while_the_watch_is_broken() {
    let mut server = Fake::start().await;
    let (near, events) = watching(&mut server, LONG).await;
    fill(&mut server, &near, "reader").await;
    let all = Target::All(true);
    events.send(invalidated(all, 11)).await.unwrap();
    until(|| !is_kept(&near, "reader")).await;
    assert_eq!(near.stats("aws").unwrap().entries, 1);
    drop(events);
    until(|| near.stats("aws").unwrap().entries == 0).await;
}

#[tokio::test]
async fn what_is_asked_while_the_watch_is_broken_is_not_kept() {
    let mut server = Fake::start().await;
    let (near, events) = watching(&mut server, LONG).await;
    drop(events);
    // It is being opened again, so that it broke has been noticed.
    let (_, events) = server.watch().await;
    fill(&mut server, &near, "reader").await;
    assert!(!is_kept(&near, "reader"));
    events.send(heartbeat("one", 10)).await.unwrap();
    near.watching().await;
    fill(&mut server, &near, "reader").await;
    assert!(is_kept(&near, "reader"));
}

#[tokio::test]
async fn watch_ends_with_the_last_handle() {
    let mut server = Fake::start().await;
    let (near, events) = watching(&mut server, LONG).await;
    let other = near.clone();
    drop(near);
    fill(&mut server, &other, "reader").await;
    drop(other);
    events.closed().await;
}

#[tokio::test]
async fn hit_that_is_due_is_seen_to_once() {
    let mut server = Fake::start().await;
    let (near, _events) = watching(&mut server, LONG).await;
    let asking = asked(&near, "reader");
    let mut due = hit("due", 3);
    if let Some(Outcome::Credential(credential)) = &mut due.outcome {
        // Its whole lifetime before its end, so it is due by now.
        let seconds = credential.expires_at.unwrap().seconds;
        credential.refresh_at.as_mut().unwrap().seconds = seconds - 1000;
        credential.ttl = Some(span(Duration::from_secs(600)));
    }
    server.get().await.answer(due.clone());
    asking.await.unwrap();

    let issuer = Issuer::default();
    for _ in 0..10 {
        let issuer = issuer.clone();
        let fetch = move || std::future::ready(issuer.fetch());
        let credential = near.get_or_fetch("aws", "reader", fetch).await.unwrap();
        assert_eq!(credential.value.expose(), b"due");
    }
    let get = server.get().await;
    assert!(get.request.acquire_lease);
    get.answer(leased(due, "lease"));
    let put = server.put().await;
    assert_eq!(&put.request.lease_token[..], b"lease");
    put.answer(stored(11));
    assert_eq!(issuer.fetches(), 1);
    assert!(server.is_idle());
}

#[tokio::test]
async fn miss_is_fetched_and_what_the_server_has_by_then_is_kept() {
    let mut server = Fake::start().await;
    let (near, _events) = watching(&mut server, LONG).await;
    let issuer = Issuer::default();
    let call = || {
        let (near, issuer) = (near.clone(), issuer.clone());
        tokio::spawn(async move {
            let fetch = move || std::future::ready(issuer.fetch());
            near.get_or_fetch("aws", "reader", fetch).await.unwrap()
        })
    };
    let fetching = call();
    server.get().await.answer(granted("lease"));
    server.put().await.answer(stored(11));
    assert_eq!(fetching.await.unwrap().value.expose(), b"fetched 1");
    let asking = call();
    server.get().await.answer(hit("fetched 1", 11));
    asking.await.unwrap();
    assert_eq!(call().await.unwrap().version, 11);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn outage_of_the_server_is_none_of_the_callers() {
    let mut server = Fake::start().await;
    let (near, _events) = watching(&mut server, LONG).await;
    let issuer = Issuer::default();
    let fetch = {
        let issuer = issuer.clone();
        move || std::future::ready(issuer.fetch())
    };
    let (credential, ()) = tokio::join!(near.get_or_fetch("aws", "reader", fetch), async {
        let get = server.get().await;
        get.refuse(Code::Internal, "INTERNAL");
    });
    assert_eq!(credential.unwrap().value.expose(), b"fetched 1");
    assert!(!is_kept(&near, "reader"));
}
