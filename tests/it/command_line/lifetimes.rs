//! The lifetime of a credential: typed, read from the issuer's output, shortened by a tier.

use serde_json::Value;

use super::{
    assert_ended,
    fetching::{Runs, command, fetch, leases},
    json, run, serve,
};
use crate::fixture::within;

async fn stored(address: &str) -> Value {
    json(&run(address, "get aws reader --output json", b"").await)
}

#[tokio::test]
async fn whatever_can_be_refused_is_refused_before_the_command_runs() {
    let (server, address) = serve().await;
    let runs = Runs::new();
    let script = runs.counting("echo token");
    let tags = (0..17).fold(String::new(), |tags, n| format!("{tags} --tag t{n}"));
    let long = format!("--tag {}", "x".repeat(129));
    for (options, message) in [
        ("--ttl 15M", "write minutes as m"),
        ("--ttl 1y", "in days"),
        ("--ttl 900", "needs a unit"),
        ("--ttl 1.5h", "1h 30m"),
        ("--ttl 0s", "more than zero"),
        ("--expires-at 2020-01-01T00:00:00Z", "is in the past"),
        ("--expires-at 2033-05-18", "RFC 3339"),
        ("--ttl 1h --min-ttl 5M", "write minutes as m"),
        ("--ttl 1h --refresh-before 5M", "write minutes as m"),
        ("--ttl 1h --retry-after 6m", "at most 5m"),
        ("--ttl 1h --fetch-timeout 0s", "more than zero"),
        ("--ttl 1h --lifetime-from aws", "cannot be used with"),
        ("--lifetime-from saml", "exec-credential"),
        ("--lifetime-from json:end", "RFC 6901"),
        ("--ttl 1h --tier=", "tier"),
        (&tags, "at most 16 tags"),
        (&long, "at most 128 bytes"),
    ] {
        let refused = fetch(&address, options, &script).await;
        assert_ended(&refused, 64, message);
        assert!(refused.stdout.is_empty(), "{options}");
    }
    let refused = [["fetch", "AWS", "reader"], ["fetch", "aws", ""]];
    for line in refused {
        let rest = [
            "--ttl", "1h", "--server", &address, "--", "sh", "-c", &script,
        ];
        let mut fetch = crate::fixture::credcache(&[&line[..], &rest[..]].concat());
        let ended = tokio::task::spawn_blocking(move || fetch.output().unwrap());
        assert_ended(&within(ended).await.unwrap(), 64, "must");
    }
    assert_eq!(runs.count(), 0);
    assert_eq!(leases(&server).await.granted, 0);
}

#[tokio::test]
async fn lifetime_of_a_put_is_refused_where_it_may_be_mistyped() {
    let (server, address) = serve().await;
    for (line, message) in [
        ("put aws reader --ttl 15M", "write minutes as m"),
        ("put aws reader --ttl 0s", "more than zero"),
        ("put aws reader --ttl 1month", "in days"),
        ("put aws reader --expires-at 2033-05-18T03:33", "RFC 3339"),
        ("get aws reader --min-ttl 5M", "write minutes as m"),
        ("get aws reader --wait 6m", "at most 5m"),
        (
            "abandon aws reader --lease 00 --retry-after 1h",
            "at most 5m",
        ),
        ("health --timeout 5M", "write minutes as m"),
    ] {
        assert_ended(&run(&address, line, b"token").await, 64, message);
    }
    server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn time_is_taken_with_any_offset() {
    let (_server, address) = serve().await;
    let line = "put aws reader --expires-at 2033-05-18T05:33:50+02:00 \
                --issued-at 2033-05-17T22:03:19-05:30 --output json";
    let put = json(&run(&address, line, b"token").await);
    assert_eq!(put["expires_at"], "2033-05-18T03:33:50.000Z");
    let line = "invalidate aws --all --issued-before 2033-05-18T05:33:18+02:00";
    assert_ended(&run(&address, line, b"").await, 0, "");
    let fetched = fetch(
        &address,
        "--expires-at 2033-05-17T22:04:00-05:30",
        "echo token",
    )
    .await;
    assert_ended(&fetched, 0, "");
    assert_eq!(
        stored(&address).await["expires_at"],
        "2033-05-18T03:34:00.000Z"
    );
}

#[tokio::test]
async fn lifetime_that_a_tier_cut_is_told() {
    let (_server, address) = serve().await;
    for (options, message) in [
        ("--ttl 2h", "tier long keeps credentials for at most 1h"),
        ("--ttl 61s --tier short", "for at most 1m"),
        (
            "--expires-at 2033-05-18T06:33:20+02:00 --tier short",
            "until 2033-05-18T03:34:20.000Z, not 2033-05-18T04:33:20.000Z",
        ),
        ("--ttl 60s --tier short", ""),
        ("--expires-at 2033-05-18T04:33:20Z", ""),
    ] {
        let put = run(&address, &format!("put aws reader {options}"), b"token").await;
        assert_ended(&put, 0, message);
        assert!(put.stdout.starts_with(b"stored version "), "{options}");
        run(&address, "invalidate aws --key reader", b"").await;
        let fetched = fetch(&address, options, "echo token").await;
        assert_ended(&fetched, 0, message);
        assert_eq!(fetched.stdout, b"token\n", "{options}");
    }
}

#[tokio::test]
async fn end_is_read_from_what_the_issuer_says() {
    let claims = "eyJleHAiOjIwMDAwMDAwNDB9"; // {"exp":2000000040}
    let jwt = format!("e30.{claims}.c2ln");
    for (source, printed, ends) in [
        (
            "aws",
            r#"{"Version":1,"SecretAccessKey":"qz","Expiration":"2033-05-18T03:34:00Z"}"#,
            Some("2033-05-18T03:34:00.000Z"),
        ),
        (
            "aws",
            r#"{"Credentials":{"SessionToken":"qz","Expiration":"2033-05-18T05:34:00+02:00"}}"#,
            Some("2033-05-18T03:34:00.000Z"),
        ),
        (
            "exec-credential",
            r#"{"status":{"token":"qz","expirationTimestamp":"2033-05-18T03:34:00Z"}}"#,
            Some("2033-05-18T03:34:00.000Z"),
        ),
        ("oauth", r#"{"access_token":"qz","expires_in":40}"#, None),
        ("oauth", r#"{"access_token":"qz","expires_in":"40"}"#, None),
        ("jwt", &jwt, Some("2033-05-18T03:34:00.000Z")),
        (
            "google",
            r#"{"id_token":"qz","expiration_time":2000000040}"#,
            Some("2033-05-18T03:34:00.000Z"),
        ),
        (
            "json:/auth/lease~1end",
            r#"{"auth":{"lease/end":2000000040}}"#,
            Some("2033-05-18T03:34:00.000Z"),
        ),
    ] {
        let (_server, address) = serve().await;
        let options = format!("--lifetime-from {source}");
        let script = format!("printf '%s\\n' '{printed}'");
        let fetched = fetch(&address, &options, &script).await;
        assert_ended(&fetched, 0, "");
        assert_eq!(fetched.stdout, format!("{printed}\n").as_bytes());
        let stored = stored(&address).await;
        if let Some(ends) = ends {
            assert_eq!(stored["expires_at"], ends, "{source}");
        }
        let ttl = stored["ttl_seconds"].as_f64().unwrap();
        // A relative lifetime counts from before the command was run.
        assert!(ttl <= 40.0 && ttl > 10.0, "{source}: {ttl}");
    }
}

#[tokio::test]
async fn end_that_cannot_be_read_says_what_was_looked_for_and_nothing_is_stored() {
    let (server, address) = serve().await;
    let mut refused = 0;
    for (source, printed, message) in [
        (
            "aws",
            r#"{"Token":"hunter2"}"#,
            "Expiration or Credentials.Expiration",
        ),
        (
            "aws",
            r#"{"Token":"hunter2","Expiration":"soon"}"#,
            "another form",
        ),
        ("exec-credential", "hunter2", "status.expirationTimestamp"),
        ("oauth", r#"{"access_token":"hunter2"}"#, "expires_in"),
        ("jwt", "hunter2", "exp, in Unix seconds"),
        ("google", r#"{"id_token":"hunter2"}"#, "expiration_time"),
        (
            "json:/end",
            r#"{"end":"hunter2"}"#,
            "/end, a time by RFC 3339",
        ),
        (
            "google",
            r#"{"expiration_time":1000000000}"#,
            "is in the past",
        ),
    ] {
        let options = format!("--retry-after 0s --lifetime-from {source}");
        let failed = fetch(&address, &options, &format!("echo '{printed}'")).await;
        assert_ended(&failed, 70, message);
        assert!(failed.stdout.is_empty(), "{source}");
        assert!(
            !String::from_utf8(failed.stderr)
                .unwrap()
                .contains("hunter2")
        );
        refused += 1;
        assert_eq!(leases(&server).await.abandoned, refused);
    }
    server.assert_nothing_was_stored().await;
    // No caller asks a failing issuer again for a while.
    let failed = command(&address, "--lifetime-from aws", "echo '{}'").output();
    assert_ended(&within(failed).await.unwrap(), 70, "isn't there");
    let closed = fetch(&address, "--lifetime-from aws", "echo '{}'").await;
    assert_ended(&closed, 75, "failed a moment ago");
}
