//! Malformed requests. Each gets a typed status, or an HTTP error where it isn't gRPC; nothing is
//! stored, and the server goes on.

mod messages;

use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, Request, Response};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use self::messages::{METHODS, Method};
use crate::fixture::{RawClient, Running, TWO_TIERS, config, framed, within};

/// The number of requests of each kind.
const ROUNDS: usize = 250;

/// Sends a whole request. Returns the response, with the trailers of its body if it has any.
pub(crate) async fn answer(
    client: &mut RawClient,
    request: Request<()>,
    body: Vec<u8>,
) -> Result<(Response<()>, Option<HeaderMap>), h2::Error> {
    let (response, mut sent) = client.send(request).await?;
    sent.send_data(Bytes::from(body), true)?;
    let (parts, mut body) = within(response).await?.into_parts();
    while let Some(data) = within(body.data()).await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    let trailers = within(body.trailers()).await?;
    Ok((Response::from_parts(parts, ()), trailers))
}

pub(crate) fn post(path: &str) -> http::request::Builder {
    Request::post(format!("http://credcache{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// The status of a call with this body, which isn't OK.
pub(crate) async fn status(client: &mut RawClient, path: &str, body: Vec<u8>) -> Status {
    let request = post(path).body(()).unwrap();
    let (response, trailers) = answer(client, request, body).await.unwrap();
    assert_eq!(response.status(), 200);
    Status::from_header_map(response.headers())
        .or_else(|| Status::from_header_map(trailers.as_ref()?))
        .expect("a status")
}

fn assert_invalid(status: &Status, reason: &str, about: &str) {
    assert_refused(status, Code::InvalidArgument, reason, about);
}

/// Fails unless the status has this code and reason.
pub(crate) fn assert_refused(status: &Status, code: Code, reason: &str, about: &str) {
    assert_eq!(status.code(), code, "{about}: {status:?}");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((&*info.domain, &*info.reason), ("credcache", reason));
    assert!(!status.message().is_empty(), "{about}: not a word");
}

/// Runs `malformed` on one connection, which has to outlive it.
async fn survive(malformed: impl AsyncFnOnce(&mut RawClient, &mut Rng)) {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut client = RawClient::connect(server.address).await;
    malformed(&mut client, &mut Rng::with_seed(0x1eaf)).await;
    assert_eq!(client.check().await.unwrap(), 1);
    server.assert_nothing_was_stored().await;
}

#[tokio::test]
async fn bytes_that_are_no_message_are_invalid() {
    let kinds: [fn(&mut Rng, Method) -> Vec<u8>; 4] = [
        messages::truncated,
        messages::mutated,
        messages::of_wrong_wire_type,
        messages::random,
    ];
    survive(async |client, rng| {
        for kind in kinds {
            for round in 0..ROUNDS {
                let method = METHODS[round % METHODS.len()];
                let bytes = kind(rng, method);
                let status = status(client, &method.path(), framed(&bytes)).await;
                assert_invalid(
                    &status,
                    "MALFORMED_MESSAGE",
                    &format!("{method:?} {bytes:?}"),
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn message_with_one_broken_field_is_invalid() {
    survive(async |client, rng| {
        for _ in 0..ROUNDS {
            let bytes = messages::put_with_broken_field(rng);
            let status = status(client, &Method::Put.path(), framed(&bytes)).await;
            assert_invalid(&status, "INVALID_FIELD", &format!("{bytes:?}"));
        }
    })
    .await;
}

#[tokio::test]
async fn badly_framed_message_is_refused() {
    survive(async |client, rng| {
        for round in 0..ROUNDS {
            let mut body = framed(&messages::put());
            let length = body.len();
            let (code, reason) = match round % 5 {
                // A compressed message without an agreed encoding, or an invalid flag.
                0 => {
                    body[0] = rng.u8(1..);
                    (Code::Internal, "INVALID_COMPRESSED_FLAG")
                }
                // A body that is shorter than its head says, or only a part of the head.
                1 => {
                    body.truncate(rng.usize(1..length));
                    (Code::InvalidArgument, "MALFORMED_MESSAGE")
                }
                // A head whose length is longer than the body.
                2 => {
                    body[3] = rng.u8(1..);
                    (Code::InvalidArgument, "MALFORMED_MESSAGE")
                }
                // An empty body.
                3 => {
                    body.clear();
                    (Code::Unimplemented, "WRONG_MESSAGE_COUNT")
                }
                // A body that is longer than its head says: the rest would be another message.
                _ => {
                    body[4] -= rng.u8(1..=2);
                    (Code::Unimplemented, "WRONG_MESSAGE_COUNT")
                }
            };
            let status = status(client, &Method::Put.path(), body.clone()).await;
            assert_refused(&status, code, reason, &format!("{body:?}"));
        }
    })
    .await;
}

#[tokio::test]
async fn call_of_nothing_that_there_is_is_unimplemented() {
    survive(async |client, rng| {
        for round in 0..ROUNDS {
            let word = messages::word(rng);
            let path = match round % 3 {
                0 => format!("/credcache.v1.CredentialCacheService/{word}"),
                1 => format!("/{word}.CredentialCacheService/Put"),
                _ => format!("/{word}"),
            };
            let status = status(client, &path, framed(&messages::put())).await;
            assert_refused(&status, Code::Unimplemented, "UNKNOWN_METHOD", &path);
        }
    })
    .await;
}

#[tokio::test]
async fn encoding_that_was_not_agreed_on_is_unimplemented() {
    survive(async |client, rng| {
        let request = post(&Method::Put.path()).header("grpc-encoding", messages::word(rng));
        let body = framed(&messages::put());
        let sent = answer(client, request.body(()).unwrap(), body).await;
        let sent = sent.unwrap().0;
        let status = Status::from_header_map(sent.headers()).unwrap();
        assert_refused(&status, Code::Unimplemented, "UNSUPPORTED_ENCODING", "");
        assert_eq!(sent.headers()["grpc-accept-encoding"], "identity");
    })
    .await;
}

#[tokio::test]
async fn request_that_is_no_grpc_is_refused_as_http() {
    survive(async |client, rng| {
        for round in 0..ROUNDS {
            let mut request = post(&Method::Put.path()).body(()).unwrap();
            let expected = if round % 2 == 0 {
                let methods = [http::Method::GET, http::Method::PUT, http::Method::DELETE];
                *request.method_mut() = rng.choice(methods).unwrap();
                405
            } else {
                let word = messages::word(rng);
                let types = [
                    "text/plain",
                    "application/json",
                    "application/grpc-web",
                    &word,
                ];
                let content_type = rng.choice(types).unwrap().parse().unwrap();
                request.headers_mut().insert("content-type", content_type);
                415
            };
            let body = framed(&messages::put());
            let (response, _) = answer(client, request, body).await.unwrap();
            assert_eq!(response.status(), expected);
            let allowed = response.headers().get("allow");
            assert_eq!(
                allowed.map(|it| it == "POST"),
                (expected == 405).then_some(true)
            );
        }
    })
    .await;
}

#[tokio::test]
async fn content_type_may_name_the_codec() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let mut client = RawClient::connect(server.address).await;
    for content_type in [
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
        "Application/GRPC",
    ] {
        let mut request = post(&Method::Put.path()).body(()).unwrap();
        let value = content_type.parse().unwrap();
        request.headers_mut().insert("content-type", value);
        let sent = answer(&mut client, request, framed(&messages::put())).await;
        let status = Status::from_header_map(&sent.unwrap().1.unwrap()).unwrap();
        assert_eq!(status.code(), Code::Ok, "{content_type}");
    }
}
