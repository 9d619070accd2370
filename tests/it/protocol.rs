//! The protocols by their specifications: gRPC's mapping to HTTP/2, its status codes, its
//! compression and its health checks, case by case. An error in a call is reported for that call
//! alone, in words.

use bytes::Bytes;
use credcache_client::proto::PutRequest;
use http::HeaderMap;
use prost::Message;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::{
    fixture::{CHECK, EMPTY_MESSAGE, RawClient, Running, TWO_TIERS, config, framed, within},
    malformed::{answer, assert_refused, post},
    messages::{get, put},
};

const GET: &str = "/credcache.v1.CredentialCacheService/Get";
const PUT: &str = "/credcache.v1.CredentialCacheService/Put";
const WATCH: &str = "/credcache.v1.CredentialCacheService/Watch";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
const SERVICE_UNKNOWN: i32 = 3;

/// A health check of an unknown service.
fn unknown_service() -> Vec<u8> {
    framed(
        &HealthCheckRequest {
            service: "no.such.Service".into(),
        }
        .encode_to_vec(),
    )
}

fn good(path: &str) -> Vec<u8> {
    framed(&match path {
        PUT => put("k").encode_to_vec(),
        GET | WATCH => get("k").encode_to_vec(),
        _ => Vec::new(),
    })
}

/// A call's status, in headers or trailers, and the headers of the response.
async fn call(
    client: &mut RawClient,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (Status, HeaderMap) {
    let mut request = post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (response, trailers) = answer(client, request.body(()).unwrap(), body)
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let status = Status::from_header_map(response.headers())
        .or_else(|| Status::from_header_map(trailers.as_ref()?));
    (status.expect("a status"), response.headers().clone())
}

/// A connection that outlives all of its calls.
struct Peer {
    server: Running,
    client: RawClient,
}

impl Peer {
    async fn new() -> Self {
        let server = Running::start(&config(TWO_TIERS)).await;
        let client = RawClient::connect(server.address).await;
        Self { server, client }
    }

    /// Fails unless a call is refused with this status and the next call is answered.
    async fn refused(
        &mut self,
        (path, headers, body): (&str, &[(&str, &str)], Vec<u8>),
        (code, reason): (Code, &str),
    ) -> HeaderMap {
        let about = format!("{path} {headers:?}");
        let (status, headers) = within(call(&mut self.client, path, headers, body)).await;
        assert_refused(&status, code, reason, &about);
        assert_eq!(self.client.check().await.unwrap(), 1);
        headers
    }

    /// Fails unless a call is answered.
    async fn answered(&mut self, path: &str, headers: &[(&str, &str)]) {
        let (status, _) = within(call(&mut self.client, path, headers, good(path))).await;
        assert_eq!(status.code(), Code::Ok, "{path} {headers:?}");
    }
}

const UNARY_AND_STREAMING: [&str; 5] = [GET, PUT, CHECK, WATCH, HEALTH_WATCH];

#[tokio::test]
async fn malformed_timeout_is_told() {
    let mut peer = Peer::new().await;
    for path in UNARY_AND_STREAMING {
        for timeout in ["1", "S", "1s", "-1S", "1.5S", "123456789S", "soon"] {
            let headers = [("grpc-timeout", timeout)];
            let expected = (Code::InvalidArgument, "MALFORMED_TIMEOUT");
            peer.refused((path, &headers, good(path)), expected).await;
        }
    }
    peer.server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn deadline_of_zero_has_passed() {
    let mut peer = Peer::new().await;
    for path in UNARY_AND_STREAMING {
        for timeout in ["0S", "00000000n"] {
            let headers = [("grpc-timeout", timeout)];
            let expected = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
            peer.refused((path, &headers, good(path)), expected).await;
        }
    }
    peer.server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn method_of_one_message_takes_no_second() {
    let mut peer = Peer::new().await;
    for path in UNARY_AND_STREAMING {
        let twice = [good(path), good(path)].concat();
        let expected = (Code::Unimplemented, "WRONG_MESSAGE_COUNT");
        peer.refused((path, &[], twice), expected).await;
        // The beginning of a second message is refused, too.
        let more = [good(path), vec![0]].concat();
        peer.refused((path, &[], more), expected).await;
    }
    peer.server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn method_of_one_message_wants_one() {
    let mut peer = Peer::new().await;
    for path in UNARY_AND_STREAMING {
        let expected = (Code::Unimplemented, "WRONG_MESSAGE_COUNT");
        peer.refused((path, &[], Vec::new()), expected).await;
    }
    peer.server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn compression_that_was_not_named_is_an_error_of_the_protocol() {
    let mut peer = Peer::new().await;
    for path in UNARY_AND_STREAMING {
        let mut body = good(path);
        body[0] = 1;
        let headers: [&[_]; 2] = [&[], &[("grpc-encoding", "identity")]];
        for headers in headers {
            let expected = (Code::Internal, "INVALID_COMPRESSED_FLAG");
            peer.refused((path, headers, body.clone()), expected).await;
        }
    }
    peer.server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn compression_that_is_not_supported_is_answered_with_what_is() {
    let mut peer = Peer::new().await;
    for path in UNARY_AND_STREAMING {
        // The encoding is refused whether or not this message is compressed.
        for flag in [0, 1] {
            let mut body = good(path);
            body[0] = flag;
            let headers = [("grpc-encoding", "gzip")];
            let expected = (Code::Unimplemented, "UNSUPPORTED_ENCODING");
            let answered = peer.refused((path, &headers, body), expected).await;
            assert_eq!(answered["grpc-accept-encoding"], "identity");
        }
    }
    peer.server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn message_that_cannot_be_parsed_is_invalid() {
    let mut peer = Peer::new().await;
    let mut not_utf8 = PutRequest {
        key: "qz".into(),
        ..put("k")
    }
    .encode_to_vec();
    let at = not_utf8.windows(2).position(|two| two == b"qz").unwrap();
    not_utf8[at] = 0xff;
    for body in [not_utf8, vec![0xff], vec![0x0a, 0x7f], vec![0x0b]] {
        let expected = (Code::InvalidArgument, "MALFORMED_MESSAGE");
        peer.refused((PUT, &[], framed(&body)), expected).await;
    }
    peer.server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn headers_over_the_limit_are_told_for_their_call_alone() {
    let mut peer = Peer::new().await;
    for path in UNARY_AND_STREAMING {
        for len in [16 * 1024, 50_000] {
            let value = "v".repeat(len);
            let headers = [("x-large", &*value)];
            let expected = (Code::ResourceExhausted, "HEADERS_TOO_LARGE");
            peer.refused((path, &headers, good(path)), expected).await;
        }
    }
    peer.server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn headers_within_the_limit_are_taken() {
    let value = "v".repeat(15 * 1024);
    Peer::new()
        .await
        .answered(GET, &[("x-large", &value)])
        .await;
}

/// HTTP/2 itself resets the call, without words.
#[tokio::test]
async fn headers_far_over_the_limit_end_their_call_alone() {
    let Peer {
        server: _server,
        mut client,
    } = Peer::new().await;
    for len in [70_000, 90_000] {
        let request = post(GET).header("x-large", "v".repeat(len));
        let (response, _body) = client.send(request.body(()).unwrap()).await.unwrap();
        assert_eq!(within(response).await.unwrap().status(), 431);
        assert_eq!(client.check().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn headers_beyond_all_limits_end_their_connection_alone() {
    let mut peer = Peer::new().await;
    let mut other = RawClient::connect(peer.server.address).await;
    let request = post(GET).header("x-large", "v".repeat(300_000));
    let (response, _body) = peer.client.send(request.body(()).unwrap()).await.unwrap();
    assert!(within(response).await.is_err());
    within(peer.client.connection).await.unwrap().unwrap_err();
    assert_eq!(other.check().await.unwrap(), 1);
}

#[tokio::test]
async fn metadata_that_means_nothing_here_is_passed_over() {
    let mut peer = Peer::new().await;
    for header in [
        ("trace-bin", "AAECAw"),
        ("trace-bin", "AAECAw=="),
        ("trace-bin", "no base64!"),
        ("grpc-reserved", "for future use"),
        ("grpc-previous-rpc-attempts", "1"),
        ("grpc-encoding", "identity"),
        ("grpc-accept-encoding", "gzip, deflate"),
        ("grpc-message-type", "credcache.v1.GetRequest"),
        ("x-not-ascii", "pr\u{fc}fer"),
        ("grpc-timeout", "99999999H"),
        ("grpc-timeout", "1M"),
    ] {
        for path in [GET, CHECK] {
            peer.answered(path, &[header]).await;
        }
    }
}

#[tokio::test]
async fn call_without_te_is_answered() {
    let Peer {
        server: _server,
        mut client,
    } = Peer::new().await;
    let mut request = post(GET).body(()).unwrap();
    request.headers_mut().remove("te");
    let (_, trailers) = answer(&mut client, request, good(GET)).await.unwrap();
    let status = Status::from_header_map(&trailers.unwrap()).unwrap();
    assert_eq!(status.code(), Code::Ok);
}

#[tokio::test]
async fn call_that_is_reset_in_its_middle_is_not_carried_out() {
    let Peer { server, mut client } = Peer::new().await;
    for sent in [&[][..], &good(PUT)[..7]] {
        let (response, mut body) = client.begin(PUT, &[]).await.unwrap();
        body.send_data(Bytes::copy_from_slice(sent), false).unwrap();
        body.send_reset(h2::Reason::CANCEL);
        assert!(within(response).await.is_err());
        assert_eq!(client.check().await.unwrap(), 1);
    }
    server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn check_of_an_unknown_service_is_not_found() {
    let Peer {
        server: _server,
        mut client,
    } = Peer::new().await;
    let (status, _) = call(&mut client, CHECK, &[], unknown_service()).await;
    assert_eq!(status.code(), Code::NotFound);
    assert!(!status.message().is_empty());
}

#[tokio::test]
async fn watch_of_an_unknown_service_says_so_and_goes_on() {
    let server = Running::start(&config("shutdown.drain_timeout = '1h'")).await;
    let mut client = RawClient::connect(server.address).await;
    let (response, mut body) = client.begin(HEALTH_WATCH, &[]).await.unwrap();
    body.send_data(unknown_service().into(), true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    let message = within(body.data()).await.unwrap().unwrap();
    let answer = HealthCheckResponse::decode(&message[EMPTY_MESSAGE.len()..]).unwrap();
    assert_eq!(answer.status, SERVICE_UNKNOWN);
    tokio::select! {
        biased;
        more = body.data() => panic!("{more:?} after it"),
        serving = client.check() => assert_eq!(serving.unwrap(), 1),
    }
    // The stream doesn't hold up the drain.
    let end = server.shut_down();
    assert!(within(body.data()).await.is_none());
    let trailers = within(body.trailers()).await.unwrap().unwrap();
    assert_eq!(Status::from_header_map(&trailers).unwrap().code(), Code::Ok);
    drop((body, client));
    within(end).await.unwrap().unwrap();
}
