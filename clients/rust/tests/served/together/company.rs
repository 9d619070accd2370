//! Who travels with whom, and what each is answered.

use std::{collections::BTreeSet, time::Duration};

use credcache_client::{Client, GetOptions, Lookup, MissReason};

use super::{
    Caller, answer, answer_batch, answer_of, get, get_each, get_with, held_back, version,
    version_of,
};
use crate::{
    fake::{Fake, Question, hit, miss, result},
    proto::{self, BatchGetResponse},
};

#[tokio::test]
async fn get_without_company_is_sent_by_itself_also_after_a_crowd() {
    let mut server = Fake::start().await;
    let client = server.client();
    for round in 0..3 {
        let callers = get_each(&client, &["hit-1", "hit-2", "hit-3", "hit-4"]);
        let mut answered = 0;
        while answered < callers.len() {
            answered += answer(server.question().await);
        }
        for (number, caller) in (1..).zip(callers) {
            assert_eq!(version(caller).await, number);
        }
        for _ in 0..4 {
            let alone = get(&client, "hit-7");
            let call = server.get().await;
            assert_eq!(call.request.key, "hit-7", "{round}");
            call.answer(hit("token", 7));
            assert_eq!(version(alone).await, 7);
        }
    }
}

#[tokio::test]
async fn many_tasks_take_few_messages() {
    const TASKS: usize = 200;
    const GETS_EACH: usize = 20;
    let mut server = Fake::start().await;
    let client = server.client();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for number in 0..GETS_EACH {
                    let version = task * GETS_EACH + number;
                    let lookup = client.get("aws", format!("hit-{version}")).await;
                    assert_eq!(lookup.unwrap().hit().unwrap().version, version as u64);
                }
            })
        })
        .collect();
    let (mut answered, mut messages) = (0, 0);
    while answered < TASKS * GETS_EACH {
        messages += 1;
        answered += answer(server.question().await);
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(messages * 20 <= answered, "{messages} messages");
    assert!(server.is_idle());
}

#[tokio::test]
async fn answers_come_to_their_callers_however_they_are_mixed() {
    const ROUNDS: u64 = 30;
    let mut server = Fake::start().await;
    let client = server.client();
    let mut seen = BTreeSet::new();
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let (first, held) = held_back(&mut server, &client).await;
        let keys: Vec<String> = (0..random.usize(2..60))
            .map(|_| {
                let kind = random
                    .choice(["hit", "miss", "malformed", "large"])
                    .unwrap();
                // Few enough that some ask for the same.
                format!("{kind}-{}", random.u64(1..30))
            })
            .collect();
        let callers: Vec<Caller> = keys.iter().map(|key| get(&client, key)).collect();
        let batch = server.batch_get().await;
        let asked = &batch.request.keys;
        let different: BTreeSet<&String> = keys.iter().collect();
        assert_eq!(asked.len(), different.len(), "each key is asked for once");
        answer_batch(batch);
        // What had no room is asked for again, each by its caller.
        for _ in keys.iter().filter(|key| key.starts_with("large")) {
            let get = server.get().await;
            let (_, number) = get.request.key.split_once('-').unwrap();
            let version = 1000 + number.parse::<u64>().unwrap();
            get.answer(hit("token", version));
        }
        for (key, caller) in keys.iter().zip(callers) {
            let (kind, number) = key.split_once('-').unwrap();
            let number: u64 = number.parse().unwrap();
            match (kind, caller.await.unwrap()) {
                ("hit", Ok(Lookup::Hit(hit))) => assert_eq!(hit.version, number),
                ("large", Ok(Lookup::Hit(hit))) => assert_eq!(hit.version, 1000 + number),
                ("miss", Ok(Lookup::Miss(miss))) => {
                    assert_eq!(miss.reason, MissReason::Expired);
                    assert_eq!(miss.retry_after, Some(Duration::from_secs(number)));
                }
                ("malformed", Err(credcache_client::Error::Malformed(_))) => {}
                (_, other) => panic!("{key}: {other:?}"),
            }
            seen.insert(kind.to_owned());
        }
        held.answer(hit("token", 1));
        version(first).await;
    }
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn another_namespace_or_min_ttl_makes_another_batch() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (_first, held) = held_back(&mut server, &client).await;
    let min_ttls = [None, Some(Duration::ZERO), Some(Duration::from_secs(60))];
    let mut callers = Vec::new();
    let mut expected = Vec::new();
    for key in ["hit-1", "hit-2", "hit-3"] {
        for namespace in ["aws", "oauth"] {
            for min_ttl in min_ttls {
                let mut options = GetOptions::default();
                options = min_ttl.map_or(options, |min_ttl| options.min_ttl(min_ttl));
                callers.push(get_with(&client, namespace, key, options));
                if key == "hit-1" {
                    expected.push((namespace.to_owned(), min_ttl));
                }
            }
        }
    }
    for _ in 0..expected.len() {
        let batch = server.batch_get().await;
        let min_ttl = batch.request.min_ttl;
        let group = (
            batch.request.namespace.clone(),
            min_ttl.map(|min_ttl| Duration::try_from(min_ttl).unwrap()),
        );
        let position = expected.iter().position(|expected| *expected == group);
        expected.remove(position.expect("each group has one batch"));
        assert_eq!(batch.request.keys, ["hit-1", "hit-2", "hit-3"]);
        answer_batch(batch);
    }
    for (index, caller) in callers.into_iter().enumerate() {
        assert_eq!(version(caller).await, 1 + index as u64 / 6);
    }
    held.answer(hit("token", 1));
}

// The issuer replaces the credential while an answer with the old one is under way.
#[tokio::test]
async fn get_is_never_answered_by_a_message_that_was_sent_before_it() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (first, held) = held_back(&mut server, &client).await;
    // Each connection has a batch under way.
    let mut old = Vec::new();
    for _ in 0..2 {
        let callers = get_each(&client, &["hit-1", "hit-2"]);
        old.push((callers, server.batch_get().await));
    }
    // Revoked and replaced here: from now on the old versions are wrong.
    let mut late = get_each(&client, &["hit-1", "hit-2"]);
    for (callers, batch) in old {
        answer_batch(batch);
        for (number, caller) in (1..).zip(callers) {
            assert_eq!(version(caller).await, number);
        }
    }
    let batch = tokio::select! {
        batch = server.batch_get() => batch,
        answer = &mut late[0] => panic!("it was answered by an earlier message: {answer:?}"),
    };
    assert_eq!(batch.request.keys, ["hit-1", "hit-2"]);
    let results = [hit("new", 11), hit("new", 12)].map(result);
    batch.answer(BatchGetResponse {
        results: results.into(),
    });
    for (number, caller) in (11..).zip(late) {
        assert_eq!(version(caller).await, number);
    }
    held.answer(hit("token", 1));
    version(first).await;
}

#[tokio::test]
async fn get_that_waits_or_asks_for_a_lease_travels_alone() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (_first, held) = held_back(&mut server, &client).await;
    let second = Duration::from_secs(1);
    let waiting = get_with(&client, "aws", "hit-1", GetOptions::default().wait(second));
    let get = server.get().await;
    assert!(get.request.wait.is_some());
    get.answer(answer_of("hit-1"));
    assert_eq!(version(waiting).await, 1);

    let options = GetOptions::default().acquire_lease(true);
    let (lookup, ()) = tokio::join!(client.lookup("aws", "hit-2", options), async {
        let get = server.get().await;
        assert!(get.request.acquire_lease);
        get.answer(answer_of("hit-2"));
    });
    assert_eq!(lookup.unwrap().lookup.hit().unwrap().version, 2);
    held.answer(hit("token", 1));
}

#[tokio::test]
async fn each_get_travels_alone_if_the_client_is_told_so() {
    let mut server = Fake::start().await;
    let client = server.client_with(Client::builder().batch_gets(false));
    let keys = ["hit-1", "hit-2", "hit-3", "hit-4"];
    let callers = get_each(&client, &keys);
    let mut asked = Vec::new();
    for _ in keys {
        asked.push(server.get().await);
    }
    for get in asked {
        let answer = answer_of(&get.request.key);
        get.answer(answer);
    }
    for (number, caller) in (1..).zip(callers) {
        assert_eq!(version(caller).await, number);
    }
}

#[tokio::test]
async fn key_that_the_server_would_refuse_spoils_no_batch() {
    let mut server = Fake::start().await;
    let client = server.client();
    let (_first, held) = held_back(&mut server, &client).await;
    let long = "k".repeat(1025);
    let mut bad = [get(&client, ""), get(&client, &long)];
    let good = get_each(&client, &["hit-1", "hit-2"]);
    for _ in &bad {
        let get = server.get().await;
        assert!([0, 1025].contains(&get.request.key.len()));
        get.refuse_field("key");
    }
    let batch = server.batch_get().await;
    assert_eq!(batch.request.keys, ["hit-1", "hit-2"]);
    answer_batch(batch);
    for (number, caller) in (1..).zip(good) {
        assert_eq!(version(caller).await, number);
    }
    for caller in &mut bad {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some("INVALID_FIELD"));
    }
    held.answer(hit("token", 1));
}

#[tokio::test]
async fn batch_is_no_larger_than_its_answer_is_expected_to_be() {
    const LARGE: usize = 64 * 1024;
    // The answers that fit into a message.
    const ROOM: usize = 60;
    let mut server = Fake::start().await;
    let client = server.client();
    let (_first, held) = held_back(&mut server, &client).await;
    let keys: Vec<String> = (0..100).map(|number| format!("hit-{number}")).collect();
    let large = |key: &str| {
        let mut answer = answer_of(key);
        if let Some(proto::get_response::Outcome::Credential(credential)) = &mut answer.outcome {
            credential.value = vec![7; LARGE].into();
        }
        answer
    };
    let mut longest = Vec::new();
    for _ in 0..2 {
        let callers: Vec<Caller> = keys.iter().map(|key| get(&client, key)).collect();
        let (mut answered, mut most) = (0, 0);
        while answered < keys.len() {
            let Question::BatchGet(batch) = server.question().await else {
                panic!("the answers had room");
            };
            answered += batch.request.keys.len();
            most = most.max(batch.request.keys.len());
            let answers = batch.request.keys.iter().enumerate().map(|(index, key)| {
                result(match index {
                    0..ROOM => large(key),
                    _ => miss(proto::MissReason::NoRoom, None),
                })
            });
            let results = answers.collect::<Vec<_>>();
            for key in batch.request.keys.iter().skip(ROOM) {
                assert_eq!(longest.len(), 0, "{key} has room from now on");
            }
            let without_room = results.len().saturating_sub(ROOM);
            batch.answer(BatchGetResponse { results });
            for _ in 0..without_room {
                let get = server.get().await;
                let answer = large(&get.request.key);
                get.answer(answer);
            }
        }
        for (key, caller) in keys.iter().zip(callers) {
            assert_eq!(version(caller).await, version_of(&answer_of(key)));
        }
        longest.push(most);
    }
    assert_eq!(longest, [100, 15]);
    held.answer(hit("token", 1));
}
