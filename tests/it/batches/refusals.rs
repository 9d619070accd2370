//! Which batches and items are refused, and with which messages.

use credcache_client::proto::{
    BatchGetRequest, BatchPutRequest, PutRequest, batch_put_result::Outcome,
    put_request::Precondition,
};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};

use super::{MINUTE, message};
use crate::{
    fixture::{RawClient, Running, Stub, TWO_TIERS, config, framed, within},
    malformed,
    status_codes::put_fields::invalid_puts,
};

/// The offending fields of a refusal.
fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "INVALID_FIELD");
    let violations = &details.bad_request().unwrap().field_violations;
    violations.iter().map(|one| one.field.clone()).collect()
}

fn keys<T: Into<String>>(keys: impl IntoIterator<Item = T>) -> BatchGetRequest {
    BatchGetRequest {
        namespace: "aws".into(),
        keys: keys.into_iter().map(Into::into).collect(),
        min_ttl: None,
    }
}

async fn refused_get(stub: &mut Stub, request: BatchGetRequest) -> Vec<String> {
    let status = within(stub.batch_get(request)).await.err();
    fields(&status.expect("a refusal"))
}

#[tokio::test]
async fn batch_get_that_breaks_a_rule_is_refused_whole() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let none: [&str; 0] = [];
    assert_eq!(refused_get(&mut stub, keys(none)).await, ["keys"]);
    let many = keys(vec!["k"; 1001]);
    assert_eq!(refused_get(&mut stub, many).await, ["keys"]);
    // Items beyond the allowed number aren't inspected.
    let many_bad = keys(vec![""; 1001]);
    assert_eq!(refused_get(&mut stub, many_bad).await, ["keys"]);
    let long = "k".repeat(1025);
    let bad = keys(["a", "", "b", &long]);
    assert_eq!(refused_get(&mut stub, bad).await, ["keys[1]", "keys[3]"]);
    let all_wrong = BatchGetRequest {
        namespace: "Aws".into(),
        min_ttl: Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        }),
        ..keys([""])
    };
    let expected = ["namespace", "keys[0]", "min_ttl"];
    assert_eq!(refused_get(&mut stub, all_wrong).await, expected);
    let stats = within(server.client().await.stats(None)).await.unwrap();
    assert_eq!((stats.hits, stats.misses.not_found), (0, 0));
    within(stub.batch_get(keys(vec!["k"; 1000]))).await.unwrap();
}

#[tokio::test]
async fn only_the_first_bad_keys_are_named() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    let named = refused_get(&mut stub, keys(vec![""; 1000])).await;
    let expected: Vec<_> = (0..16).map(|nth| format!("keys[{nth}]")).collect();
    assert_eq!(named, expected);
}

#[tokio::test]
async fn batch_put_of_none_or_too_many_stores_nothing() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut stub = server.stub().await;
    for count in [0, 1001] {
        let requests = vec![message("k"); count];
        let status = within(stub.batch_put(BatchPutRequest { requests })).await;
        let status = status.expect_err("a refusal");
        assert_eq!(fields(&status), ["requests"]);
        assert!(status.message().contains(&count.to_string()), "{status:?}");
    }
    server.assert_nothing_was_stored().await;
    let requests = vec![message("k"); 1000];
    let answer = within(stub.batch_put(BatchPutRequest { requests })).await;
    assert_eq!(answer.unwrap().into_inner().results.len(), 1000);
}

#[tokio::test]
async fn batch_of_millions_of_empty_items_is_refused_as_one_of_too_many() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut client = RawClient::connect(server.address).await;
    for (method, item, field) in [
        ("BatchPut", [1 << 3 | 2, 0], "requests"),
        ("BatchGet", [2 << 3 | 2, 0], "keys"),
    ] {
        let path = format!("/credcache.v1.CredentialCacheService/{method}");
        let mut body = framed(&[]);
        body.extend(item.repeat(2 << 20));
        body[1..5].copy_from_slice(&(4_u32 << 20).to_be_bytes());
        let status = malformed::status(&mut client, &path, body).await;
        assert!(fields(&status).contains(&field.into()), "{status:?}");
        assert!(status.message().contains("2097152"), "{status:?}");
    }
    server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn error_of_an_item_is_to_the_byte_what_put_answers() {
    let tables = format!("limits.max_namespaces = 1\n{TWO_TIERS}");
    let server = Running::start(&config(&tables)).await;
    let mut stub = server.stub().await;
    let live = within(stub.put(message("live"))).await.unwrap();
    let live = live.into_inner().version;

    let mut requests: Vec<PutRequest> = invalid_puts().into_iter().map(|(put, _)| put).collect();
    let mut case = |change: &dyn Fn(&mut PutRequest)| {
        let mut request = message("live");
        change(&mut request);
        requests.push(request);
    };
    case(&|put| put.single_use = true);
    case(&|put| put.precondition = Some(Precondition::IfAbsent(true)));
    case(&|put| put.precondition = Some(Precondition::IfVersion(live + 1)));
    case(&|put| put.namespace = "one-too-many".into());

    let batch = BatchPutRequest {
        requests: requests.clone(),
    };
    let answer = within(stub.batch_put(batch)).await.unwrap().into_inner();
    assert_eq!(answer.results.len(), requests.len());
    for (result, request) in answer.results.into_iter().zip(requests) {
        let Some(Outcome::Error(error)) = result.outcome else {
            panic!("it was stored");
        };
        let status = within(stub.put(request)).await.expect_err("a refusal");
        assert_eq!(error.code, i32::from(status.code()));
        assert_eq!(error.message, status.message());
        assert_eq!(error.encode_to_vec(), status.details(), "{status:?}");
    }
}

#[tokio::test]
async fn errors_that_would_outgrow_the_response_lose_their_fields_and_nothing_else() {
    // A refusal names all tiers.
    let tiers = (1..=16).map(|nth| {
        let name = format!("{nth:063}");
        format!("[[tier]]\nname = '{name}'\nmax_ttl = '{nth}m'\ncapacity = '2MiB'\n")
    });
    let server = Running::start(&config(&tiers.collect::<String>())).await;
    let mut stub = server.stub().await;
    let all_wrong = PutRequest {
        namespace: "n".repeat(64),
        tags: vec!["t".repeat(129); 17],
        attributes: (0..17)
            .map(|nth| (nth.to_string(), String::new()))
            .collect(),
        key: "k".repeat(1025),
        issued_at: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: -1,
        }),
        lease_token: vec![0; 3].into(),
        refresh_before: Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        }),
        tier: "none".into(),
        precondition: Some(Precondition::IfVersion(0)),
        ..Default::default()
    };
    let mut requests = vec![all_wrong.clone(); 999];
    requests.push(message("stored"));
    // The generated client accepts at most 4 MiB.
    let answer = within(stub.batch_put(BatchPutRequest { requests })).await;
    let mut results = answer.unwrap().into_inner().results;
    let last = results.pop().and_then(|result| result.outcome);
    assert!(matches!(last, Some(Outcome::Response(_))));

    let single = within(stub.put(all_wrong)).await.expect_err("a refusal");
    let whole = pb::Status::decode(single.details()).unwrap();
    let info = whole.details[0].clone();
    assert!(info.type_url.ends_with("google.rpc.ErrorInfo"));
    let mut without_fields = 0;
    for result in results {
        let Some(Outcome::Error(error)) = result.outcome else {
            panic!("it was stored");
        };
        if error != whole {
            without_fields += 1;
            assert_eq!(error.code, whole.code);
            assert_eq!(error.details, std::slice::from_ref(&info));
            assert!(!error.message.is_empty());
        }
    }
    assert!((1..999).contains(&without_fields), "{without_fields}");
    let stats = within(server.client().await.stats(None)).await.unwrap();
    assert_eq!(stats.puts, 1);
}

#[tokio::test]
async fn client_is_told_what_is_wrong_with_a_batch() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let failed = within(client.batch_get("Aws", ["k"], Some(MINUTE))).await;
    assert_eq!(failed.unwrap_err().reason(), Some("INVALID_FIELD"));
}
