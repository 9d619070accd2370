//! What the end of one Get, or the failure of a batch, means for each Get of it.

use std::time::Duration;

use credcache_client::{Client, Code, Error, GetOptions};
use tokio::runtime;

use super::{answer, answer_batch, answer_of, get, get_each, get_with, held_back, version};
use crate::fake::{Fake, hit};

const KEYS: [&str; 5] = ["hit-1", "hit-2", "hit-3", "hit-4", "hit-5"];

/// Every set of these Gets.
fn subsets() -> impl Iterator<Item = [bool; KEYS.len()]> {
    (0..1 << KEYS.len()).map(|set: u32| std::array::from_fn(|index| set & 1 << index != 0))
}

#[tokio::test]
async fn dropped_gets_leave_the_others_alone_while_they_are_under_way() {
    let mut server = Fake::start().await;
    for dropped in subsets() {
        let client = server.client();
        let (first, held) = held_back(&mut server, &client).await;
        let callers = get_each(&client, &KEYS);
        let batch = server.batch_get().await;
        assert_eq!(batch.request.keys, KEYS);
        let mut left = Vec::new();
        for ((number, caller), dropped) in (1..).zip(callers).zip(dropped) {
            if dropped {
                caller.abort();
                assert!(caller.await.unwrap_err().is_cancelled());
            } else {
                left.push((number, caller));
            }
        }
        if left.is_empty() {
            batch.cancelled().await;
        } else {
            answer_batch(batch);
        }
        for (number, caller) in left {
            assert_eq!(version(caller).await, number);
        }
        held.answer(hit("token", 1));
        version(first).await;
    }
}

#[tokio::test]
async fn dropped_gets_leave_the_others_alone_before_they_are_sent() {
    let mut server = Fake::start().await;
    for dropped in subsets() {
        let client = server.client_with(Client::builder().connections(1));
        let (first, held) = held_back(&mut server, &client).await;
        let before = get_each(&client, &["hit-8", "hit-9"]);
        let busy = server.batch_get().await;
        // No connection is free, so that these wait.
        let callers = get_each(&client, &KEYS);
        tokio::task::yield_now().await;
        let mut left = Vec::new();
        for ((key, caller), dropped) in KEYS.iter().zip(callers).zip(dropped) {
            if dropped {
                caller.abort();
                assert!(caller.await.unwrap_err().is_cancelled());
            } else {
                left.push((*key, caller));
            }
        }
        answer_batch(busy);
        let keys: Vec<&str> = left.iter().map(|(key, _)| *key).collect();
        match &keys[..] {
            [] => {}
            [key] => {
                let get = server.get().await;
                assert_eq!(get.request.key, *key);
                get.answer(answer_of(key));
            }
            _ => {
                let batch = server.batch_get().await;
                assert_eq!(batch.request.keys, keys);
                answer_batch(batch);
            }
        }
        for (key, caller) in left {
            assert_eq!(format!("hit-{}", version(caller).await), key);
        }
        for (number, caller) in (8..).zip(before) {
            assert_eq!(version(caller).await, number);
        }
        held.answer(hit("token", 1));
        version(first).await;
        assert!(server.is_idle());
    }
}

#[tokio::test]
async fn dropped_get_that_was_sent_by_itself_leaves_the_others_alone() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (first, held) = held_back(&mut server, &client).await;
    let callers = get_each(&client, &KEYS);
    first.abort();
    held.cancelled().await;
    answer_batch(server.batch_get().await);
    for (number, caller) in (1..).zip(callers) {
        assert_eq!(version(caller).await, number);
    }
}

#[tokio::test]
async fn each_get_keeps_its_own_timeout() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (_first, held) = held_back(&mut server, &client).await;
    let impatient = client.with_timeout(Duration::from_millis(50));
    let short = get(&impatient, "hit-1");
    let long = get(&client, "hit-2");
    let batch = server.batch_get().await;
    assert_eq!(batch.request.keys, ["hit-1", "hit-2"]);
    let ended = short.await.unwrap();
    assert!(matches!(ended, Err(Error::DeadlineExceeded)), "{ended:?}");
    answer_batch(batch);
    assert_eq!(version(long).await, 2);
    held.answer(hit("token", 1));
}

#[tokio::test]
async fn get_that_waits_for_its_turn_keeps_its_timeout() {
    let mut server = Fake::start().await;
    let client = server.client_with(Client::builder().connections(1));
    let (_first, held) = held_back(&mut server, &client).await;
    let before = get_each(&client, &["hit-1", "hit-2"]);
    let busy = server.batch_get().await;
    let impatient = client.with_timeout(Duration::from_millis(50));
    let ended = get(&impatient, "hit-3").await.unwrap();
    assert!(matches!(ended, Err(Error::DeadlineExceeded)), "{ended:?}");
    answer_batch(busy);
    for (number, caller) in (1..).zip(before) {
        assert_eq!(version(caller).await, number);
    }
    held.answer(hit("token", 1));
}

#[tokio::test]
async fn unavailable_server_is_asked_again_by_each_get() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (_first, held) = held_back(&mut server, &client).await;
    let callers = get_each(&client, &KEYS);
    let batch = server.batch_get().await;
    assert_eq!(batch.request.keys, KEYS);
    batch.refuse(Code::Unavailable, "DRAINING");
    // Each pauses for a time of its own, so they may come in any company.
    let mut answered = 0;
    while answered < KEYS.len() {
        answered += answer(server.question().await);
    }
    for (number, caller) in (1..).zip(callers) {
        assert_eq!(version(caller).await, number);
    }
    held.answer(hit("token", 1));
}

#[tokio::test]
async fn error_of_a_batch_is_the_error_of_each_get() {
    let mut server = Fake::start().await;
    let client = server.client_with(Client::builder().attempts(1));
    let (_first, held) = held_back(&mut server, &client).await;
    for (code, reason) in [
        (Code::Unavailable, "DRAINING"),
        (Code::ResourceExhausted, "TOO_MANY_CALLS"),
        (Code::Internal, "INTERNAL"),
    ] {
        let callers = get_each(&client, &KEYS);
        server.batch_get().await.refuse(code, reason);
        for caller in callers {
            let error = caller.await.unwrap().unwrap_err();
            assert_eq!(error.reason(), Some(reason));
            assert!(error.is_outage());
        }
    }
    let callers = get_each(&client, &KEYS);
    server.batch_get().await.answer(Default::default());
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{error:?}");
    }
    assert!(server.is_idle());
    held.answer(hit("token", 1));
}

#[tokio::test]
async fn refusal_that_may_be_due_to_one_get_is_told_only_to_that_one() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (_first, held) = held_back(&mut server, &client).await;
    for code in [
        Code::InvalidArgument,
        Code::OutOfRange,
        Code::PermissionDenied,
        Code::Unimplemented,
    ] {
        let callers = get_each(&client, &KEYS);
        server.batch_get().await.refuse(code, "A_REASON");
        for _ in KEYS {
            let get = server.get().await;
            match &get.request.key[..] {
                "hit-3" => get.refuse(code, "ITS_OWN"),
                key => {
                    let answer = answer_of(key);
                    get.answer(answer);
                }
            }
        }
        for (number, caller) in (1..).zip(callers) {
            match caller.await.unwrap() {
                Ok(lookup) => assert_eq!(lookup.hit().unwrap().version, number),
                Err(error) => assert_eq!((error.reason(), number), (Some("ITS_OWN"), 3)),
            }
        }
    }
    held.answer(hit("token", 1));
}

#[tokio::test]
async fn gets_beyond_what_may_wait_go_by_themselves_and_none_is_lost() {
    const GETS: usize = 5000;
    let mut server = Fake::start().await;
    let client = server.client_with(Client::builder().connections(1));
    let (_first, held) = held_back(&mut server, &client).await;
    let before = get_each(&client, &["hit-1", "hit-2"]);
    let busy = server.batch_get().await;
    let keys: Vec<String> = (0..GETS).map(|number| format!("hit-{number}")).collect();
    let callers: Vec<_> = keys.iter().map(|key| get(&client, key)).collect();
    // The queue holds 4096.
    for _ in 0..GETS - 4096 {
        let get = server.get().await;
        let answer = answer_of(&get.request.key);
        get.answer(answer);
    }
    answer_batch(busy);
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < 4096 {
        let batch = server.batch_get().await;
        sizes.push(batch.request.keys.len());
        answer_batch(batch);
    }
    assert!(sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
    for (number, caller) in (0..).zip(callers) {
        assert_eq!(version(caller).await, number);
    }
    for (number, caller) in (1..).zip(before) {
        assert_eq!(version(caller).await, number);
    }
    assert!(server.is_idle());
    held.answer(hit("token", 1));
}

#[test]
fn end_of_the_runtime_that_sends_strands_nobody() {
    let runtime = || {
        runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (callers, sends) = (runtime(), runtime());
    let (mut server, client) = callers.block_on(async {
        let server = Fake::start().await;
        let _entered = sends.enter();
        let client = server.client_with(Client::builder().connections(1));
        (server, client.with_timeout(Duration::from_secs(600)))
    });
    let results = callers.block_on(async {
        let (first, _held) = held_back(&mut server, &client).await;
        let sent = get_each(&client, &["hit-1", "hit-2"]);
        // They travel together, or the first of them alone.
        let _busy = server.question().await;
        let options = GetOptions::default();
        let mut waiting = get_with(&client, "oauth", "hit-3", options);
        // The caller has been polled once it has been polled in vain.
        let polled = tokio::time::timeout(Duration::from_millis(20), &mut waiting);
        assert!(polled.await.is_err());
        sends.shutdown_background();
        let mut results = Vec::new();
        for caller in sent.into_iter().chain([first, waiting]) {
            let ended = tokio::time::timeout(Duration::from_secs(20), caller);
            results.push(ended.await.expect("nobody waits for ever").unwrap());
        }
        results
    });
    for result in results {
        let error = result.unwrap_err();
        assert!(error.is_outage(), "{error:?}");
    }
}
