//! A script that does the steps of `fetch` by hand: lease, put, abandon.

use std::{fs, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use super::{assert_ended, json, run, serve};
use crate::fixture::within;

/// Requests the lease of a cold key, and returns its token.
async fn granted(address: &str, key: &str) -> String {
    let line = format!("get aws {key} --lease --output json");
    let miss = run(address, &line, b"").await;
    assert_ended(&miss, 1, "miss");
    let answer: Value = serde_json::from_slice(&miss.stdout).unwrap();
    assert_eq!(answer["miss"]["reason"], "NOT_FOUND");
    assert_eq!(answer["lease"]["ttl_seconds"], 10.0);
    answer["lease"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_waits_gets_what_the_leases_holder_puts() {
    let (server, address) = serve().await;
    let token = granted(&address, "reader").await;
    let other = run(&address, "get aws reader --lease --output json", b"").await;
    assert_ended(&other, 1, "another caller is fetching");
    assert!(other.stdout.is_empty());

    let client = server.client().await;
    let waiter = run(&address, "get aws reader --wait 1m", b"");
    let holder = async {
        while client.stats(None).await.unwrap().leases.waiting == 0 {}
        let line = format!("put aws reader --ttl 30s --lease {token}");
        run(&address, &line, b"token").await
    };
    let (waiter, holder) = within(async { tokio::join!(waiter, holder) }).await;
    assert_ended(&holder, 0, "");
    assert_ended(&waiter, 0, "");
    assert_eq!(waiter.stdout, b"token");
}

#[tokio::test]
async fn token_is_told_in_text_too_and_is_good_once() {
    let (_server, address) = serve().await;
    let miss = run(&address, "get aws reader --lease", b"").await;
    assert_ended(&miss, 1, "the lease is granted for 10s");
    assert!(miss.stdout.is_empty());
    let message = String::from_utf8(miss.stderr).unwrap();
    let (_, token) = message.split_once("--lease ").unwrap();
    let token = token.split(',').next().unwrap();

    let abandon = format!("abandon aws reader --lease {token} --retry-after 30s");
    assert_ended(&run(&address, &abandon, b"").await, 0, "");
    assert_ended(&run(&address, &abandon, b"").await, 70, "LEASE_LOST");
    let put = format!("put aws reader --ttl 30s --lease {token}");
    assert_ended(&run(&address, &put, b"token").await, 70, "LEASE_LOST");
    let closed = run(&address, "get aws reader --lease", b"").await;
    assert_ended(&closed, 1, "no lease is granted for ");
    let message = String::from_utf8(closed.stderr).unwrap();
    assert!(!message.contains("put it"), "{message}");
}

#[tokio::test]
async fn token_is_read_from_a_file_or_stdin_where_nobody_else_sees_it() {
    let (_server, address) = serve().await;
    let directory = TempDir::new().unwrap();
    let (lease, value) = (
        directory.path().join("lease"),
        directory.path().join("value"),
    );
    fs::write(&value, "token").unwrap();

    let token = granted(&address, "reader").await;
    fs::write(&lease, format!("{token}\n")).unwrap();
    let put = format!("put aws reader --ttl 30s --lease-file {}", lease.display());
    assert_ended(&run(&address, &put, b"token").await, 0, "");

    let token = granted(&address, "other").await;
    let both = "put aws other --ttl 30s --lease-file -";
    assert_ended(
        &run(&address, both, b"token").await,
        64,
        "both the value and the lease",
    );
    let put = format!("{both} --value-file {}", value.display());
    assert_ended(&run(&address, &put, token.as_bytes()).await, 0, "");
    assert_eq!(run(&address, "get aws other", b"").await.stdout, b"token");

    let token = granted(&address, "third").await;
    let abandon = "abandon aws third --lease-file -";
    assert_ended(
        &run(&address, abandon, b"hunter2").await,
        64,
        "must hold a lease's token",
    );
    assert_ended(&run(&address, abandon, token.as_bytes()).await, 0, "");
    assert_ended(
        &run(&address, "abandon aws third", b"").await,
        64,
        "--lease-file",
    );
}

#[tokio::test]
async fn hit_that_is_due_comes_with_the_lease() {
    let (server, address) = serve().await;
    let put = "put aws reader --ttl 30s --refresh-before 15s";
    assert_ended(&run(&address, put, b"token").await, 0, "");
    let early = json(&run(&address, "get aws reader --lease --output json", b"").await);
    assert!(early.get("lease").is_none());
    server.time.pass(Duration::from_secs(16));
    let due = json(&run(&address, "get aws reader --lease --output json", b"").await);
    assert_eq!(due["value"], "token");
    assert_eq!(due["lease"]["token"].as_str().unwrap().len(), 32);
    let plain = run(&address, "get aws reader --lease", b"").await;
    assert_ended(&plain, 0, "");
    assert_eq!(plain.stdout, b"token");
}

#[tokio::test]
async fn credential_is_judged_by_when_it_was_issued() {
    let (_server, address) = serve().await;
    let invalidate = "invalidate aws --all --issued-before 2033-05-18T03:33:10Z";
    assert_ended(&run(&address, invalidate, b"").await, 0, "");
    for (issued_at, code, message) in [
        ("2033-05-18T03:33:10Z", 70, "REVOKED"),
        ("2033-05-18T03:33:11Z", 0, ""),
    ] {
        let put = format!("put aws reader --ttl 30s --issued-at {issued_at}");
        assert_ended(&run(&address, &put, b"token").await, code, message);
    }
}

#[tokio::test]
async fn lease_lost_to_an_invalidation_is_counted() {
    let (_server, address) = serve().await;
    let token = granted(&address, "reader").await;
    run(&address, "invalidate aws --all", b"").await;
    let put = format!("put aws reader --ttl 30s --lease {token}");
    assert_ended(&run(&address, &put, b"token").await, 70, "REVOKED");
    let stats = json(&run(&address, "stats --output json", b"").await);
    assert_eq!(stats["leases"]["revoked"], 1);
    let table = run(&address, "stats", b"").await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("revoked 1;"), "{table}");
}
