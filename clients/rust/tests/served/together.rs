//! Gets that travel together: how many messages they make, who is answered what, and
//! what the end of one means for the others.

mod company;
mod failures;

use std::time::Duration;

use credcache_client::{Client, Error, GetOptions, Lookup};
use tokio::task::JoinHandle;

use crate::{
    fake::{Call, Fake, Question, hit, miss, result},
    proto::{BatchGetRequest, BatchGetResponse, GetRequest, GetResponse, MissReason, get_response},
};

type Caller = JoinHandle<Result<Lookup, Error>>;

fn get_with(client: &Client, namespace: &str, key: &str, options: GetOptions) -> Caller {
    let client = client.clone();
    let (namespace, key) = (namespace.to_owned(), key.to_owned());
    tokio::spawn(async move { client.get_with(namespace, key, options).await })
}

fn get(client: &Client, key: &str) -> Caller {
    get_with(client, "aws", key, GetOptions::default())
}

fn get_each(client: &Client, keys: &[&str]) -> Vec<Caller> {
    keys.iter().map(|key| get(client, key)).collect()
}

/// A Get that the server holds back, so that the next ones have company.
async fn held_back(server: &mut Fake, client: &Client) -> (Caller, Call<GetRequest, GetResponse>) {
    let caller = get(client, "held-back");
    (caller, server.get().await)
}

/// The answer to a key: its number is the version.
fn answer_of(key: &str) -> GetResponse {
    let (kind, number) = key.split_once('-').unwrap();
    match kind {
        "hit" => hit("token", number.parse().unwrap()),
        "miss" => miss(
            MissReason::Expired,
            Some(Duration::from_secs(number.parse().unwrap())),
        ),
        "malformed" => GetResponse::default(),
        "large" => miss(MissReason::NoRoom, None),
        _ => panic!("no test asks for {key}"),
    }
}

fn answer_batch(batch: Call<BatchGetRequest, BatchGetResponse>) {
    let keys = batch.request.keys.iter();
    let results = keys.map(|key| result(answer_of(key))).collect();
    batch.answer(BatchGetResponse { results });
}

/// Answers a Get or a batch; how many Gets that were.
fn answer(question: Question) -> usize {
    match question {
        Question::Get(get) => {
            let answer = answer_of(&get.request.key);
            get.answer(answer);
            1
        }
        Question::BatchGet(batch) => {
            let gets = batch.request.keys.len();
            answer_batch(batch);
            gets
        }
    }
}

async fn version(caller: Caller) -> u64 {
    caller.await.unwrap().unwrap().hit().unwrap().version
}

fn version_of(answer: &GetResponse) -> u64 {
    match &answer.outcome {
        Some(get_response::Outcome::Credential(credential)) => credential.version,
        _ => panic!("a miss has no version"),
    }
}
