//! Rules for every call: deadlines, message sizes, unknown methods.

use std::time::Duration;

use bytes::Bytes;
use credcache::server::{self, Timeouts};
use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::fixture::{CHECK, RawClient, Running, config, within};

/// The status of a response that consists of nothing else.
async fn refusal(path: &str, headers: &[(&'static str, &str)], sent: &'static [u8]) -> Status {
    refusal_within(Timeouts::default(), path, headers, sent).await
}

async fn refusal_within(
    timeouts: Timeouts,
    path: &str,
    headers: &[(&'static str, &str)],
    sent: &'static [u8],
) -> Status {
    let config = config("");
    let bound = server::bind(&config).await.unwrap();
    let server = Running::run(bound.with_timeouts(timeouts), &config);
    let mut client = RawClient::connect(server.address).await;
    let (response, mut body) = client.begin(path, headers).await.unwrap();
    // The body stays open: the server must not wait for its end.
    body.send_data(Bytes::from_static(sent), false).unwrap();
    let response = within(response).await.unwrap();
    let headers: &HeaderMap = response.headers();
    Status::from_header_map(headers).expect("a status in the headers")
}

fn reason(status: &Status) -> (String, String) {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    (info.domain, info.reason)
}

#[tokio::test]
async fn passed_deadline_is_answered_as_such() {
    let status = refusal(CHECK, &[("grpc-timeout", "20m")], &[]).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        reason(&status),
        ("credcache".into(), "DEADLINE_EXCEEDED".into())
    );
}

#[tokio::test]
async fn message_that_stops_coming_is_not_awaited_for_ever() {
    let timeouts = Timeouts {
        request: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let headers: [&[_]; 2] = [&[], &[("grpc-timeout", "1H")]];
    for headers in headers {
        // A message without its last byte, and a body without its end.
        for sent in [&[0, 0, 0, 0, 2, 10][..], &[0, 0, 0, 0, 0]] {
            let path = "/credcache.v1.CredentialCacheService/Put";
            let status = refusal_within(timeouts, path, headers, sent).await;
            assert_eq!(status.code(), Code::DeadlineExceeded);
            let expected = ("credcache".into(), "DEADLINE_EXCEEDED".into());
            assert_eq!(reason(&status), expected);
        }
    }
}

#[tokio::test]
async fn too_large_message_exhausts_a_resource() {
    // The head of a frame of 5 MiB suffices.
    let status = refusal(CHECK, &[], &[0, 0, 0x50, 0, 0]).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(
        reason(&status),
        ("credcache".into(), "MESSAGE_TOO_LARGE".into())
    );
}

#[tokio::test]
async fn unknown_methods_and_services_are_unimplemented() {
    for path in ["/grpc.health.v1.Health/Nothing", "/no.such.Service/Get"] {
        assert_eq!(refusal(path, &[], &[]).await.code(), Code::Unimplemented);
    }
}
