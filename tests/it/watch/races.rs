//! Events against Gets, while other callers change the credentials of the events.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use credcache_client::proto::{
    BatchGetRequest, BatchPutRequest, PutRequest, batch_get_result::Outcome as BatchOutcome,
    get_response::Outcome, invalidate_request, invalidated::Target, watch_response::Event,
};
use tokio::task::JoinSet;

use super::{from_now, next, next_change, watching};
use crate::{
    fixture::{Running, Stub, config, within},
    messages::{get, invalidate, put},
};

const KEYS: usize = 8;
const WRITERS: u64 = 4;
const CHANGES: usize = 1_000;

fn key(nth: usize) -> String {
    format!("{}/{nth}", ["a", "b"][nth % 2])
}

fn tag(nth: usize) -> &'static str {
    ["low", "high"][usize::from(nth >= KEYS / 2)]
}

/// Puts and invalidates, and returns all revisions.
async fn write(mut stub: Stub, seed: u64) -> Vec<u64> {
    use invalidate_request::Target;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut revisions = Vec::with_capacity(CHANGES);
    for _ in 0..CHANGES {
        let nth = rng.usize(0..KEYS);
        let target = match rng.u8(0..10) {
            0..7 => {
                let request = PutRequest {
                    tags: vec![tag(nth).into()],
                    ..put(&key(nth))
                };
                revisions.push(stub.put(request).await.unwrap().into_inner().version);
                continue;
            }
            7 => Target::Key(key(nth)),
            8 => Target::KeyPrefix(key(nth)[..2].to_owned()),
            _ if rng.bool() => Target::Tag(tag(nth).into()),
            _ => Target::All(true),
        };
        let answer = stub.invalidate(invalidate(target)).await.unwrap();
        revisions.push(answer.into_inner().revision);
    }
    revisions
}

/// The keys that an event is about.
fn concerned(event: &Event) -> Vec<usize> {
    let matches: Box<dyn Fn(usize) -> bool + '_> = match event {
        Event::Replaced(replaced) => Box::new(|nth| key(nth) == replaced.key),
        Event::Invalidated(invalidated) => match invalidated.target.as_ref().unwrap() {
            Target::Key(of) => Box::new(move |nth| key(nth) == *of),
            Target::KeyPrefix(prefix) => Box::new(move |nth| key(nth).starts_with(prefix)),
            Target::Tag(of) => Box::new(move |nth| tag(nth) == of),
            Target::All(_) => Box::new(|_| true),
        },
        Event::Reset(_) | Event::Heartbeat(_) => panic!("nothing was lost: {event:?}"),
    };
    (0..KEYS).filter(|nth| matches(*nth)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_after_an_event_finds_nothing_from_before_it() {
    let server = Running::start(&config("")).await;
    let mut events = watching(&mut server.stub().await, from_now()).await;
    next(&mut events).await;
    let mut writers = JoinSet::new();
    for seed in 0..WRITERS {
        writers.spawn(write(server.stub().await, seed));
    }
    let reader = server.stub().await;
    let mut revisions = Vec::new();
    let mut hits = 0;
    while revisions.len() < CHANGES * usize::try_from(WRITERS).unwrap() {
        let (event, revision) = next_change(&mut events).await;
        revisions.push(revision);
        let mut gets = JoinSet::new();
        for nth in concerned(&event) {
            let mut reader = reader.clone();
            gets.spawn(async move { reader.get(get(&key(nth))).await.unwrap().into_inner() });
        }
        while let Some(answer) = within(gets.join_next()).await {
            if let Some(Outcome::Credential(found)) = answer.unwrap().outcome {
                assert!(
                    found.version >= revision,
                    "{} after {event:?}",
                    found.version
                );
                hits += 1;
            }
        }
    }
    let mut written = Vec::new();
    while let Some(more) = within(writers.join_next()).await {
        written.extend(more.unwrap());
    }
    written.sort_unstable();
    assert_eq!(
        revisions, written,
        "each change is received once, in its order"
    );
    assert!(hits > CHANGES, "{hits} hits");
}

/// While the invalidation removes thousands, other changes wake the watcher, which must not receive
/// the invalidation yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_of_a_wide_invalidation_comes_when_all_of_it_is_gone() {
    const BATCHES: usize = 4;
    let server = Running::start(&config("")).await;
    let mut stub = server.stub().await;
    let mut events = watching(&mut server.stub().await, from_now()).await;
    let batches: Vec<Vec<String>> = (0..BATCHES)
        .map(|batch| (0..1000).map(|nth| format!("{nth}/{batch}")).collect())
        .collect();
    for _ in 0..20 {
        for keys in &batches {
            let requests = keys.iter().map(|key| put(key)).collect();
            within(stub.batch_put(BatchPutRequest { requests }))
                .await
                .unwrap();
        }
        let is_told = Arc::new(AtomicBool::new(false));
        let ticking = tokio::spawn(tick(server.stub().await, is_told.clone()));
        let mut invalidator = stub.clone();
        let all = invalidate(invalidate_request::Target::All(true));
        let invalidating = tokio::spawn(async move { invalidator.invalidate(all).await });
        let revision = loop {
            if let (Event::Invalidated(_), revision) = next_change(&mut events).await {
                break revision;
            }
        };
        for keys in &batches {
            let request = BatchGetRequest {
                namespace: "aws".into(),
                keys: keys.clone(),
                ..Default::default()
            };
            let answer = within(stub.batch_get(request)).await.unwrap();
            let results = answer.into_inner().results;
            for result in results {
                let is_hit = matches!(result.outcome, Some(BatchOutcome::Credential(_)));
                assert!(!is_hit, "received {revision}, and still there");
            }
        }
        is_told.store(true, SeqCst);
        within(ticking).await.unwrap();
        let answer = within(invalidating).await.unwrap().unwrap().into_inner();
        assert_eq!(answer.revision, revision);
    }
}

async fn tick(mut stub: Stub, is_over: Arc<AtomicBool>) {
    while !is_over.load(SeqCst) {
        stub.put(put("tick")).await.unwrap();
    }
}
