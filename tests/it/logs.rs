//! What the binary logs at its most talkative: never a key, a value, a tag, an
//! attribute or a caller's header.

use std::time::Duration;

use credcache_client::proto::{
    GetRequest, InvalidateRequest, PutRequest,
    credential_cache_service_client::CredentialCacheServiceClient,
    invalidate_request::Target,
    put_request::{Lifetime, Precondition},
};
use rustix::process::Signal;
use tonic::{Code, Request, transport::Endpoint};

use crate::fixture::{Server, Stub, within};

/// Stands in whatever a caller sends.
const MARK: &str = "qzqz";

fn put() -> PutRequest {
    let ttl = prost_types::Duration {
        seconds: 30,
        nanos: 0,
    };
    PutRequest {
        namespace: "aws".into(),
        key: "qzqz-key".into(),
        value: "qzqz-value".into(),
        lifetime: Some(Lifetime::Ttl(ttl)),
        tags: vec!["qzqz-tag".into()],
        attributes: [("qzqz-name".into(), "qzqz-text".into())].into(),
        ..Default::default()
    }
}

fn with_token<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", "Bearer qzqz-token".parse().unwrap());
    metadata.insert("x-qzqz-name", "text".parse().unwrap());
    request.set_timeout(Duration::from_secs(20));
    request
}

/// One call of each kind, and the refusals of a Put.
async fn call_everything(stub: &mut Stub) {
    let get = GetRequest {
        namespace: "aws".into(),
        key: "qzqz-key".into(),
        ..Default::default()
    };
    within(stub.put(with_token(put()))).await.unwrap();
    within(stub.get(with_token(get.clone()))).await.unwrap();
    for (refused, code) in [
        (
            PutRequest {
                tier: "qzqz-tier".into(),
                ..put()
            },
            Code::InvalidArgument,
        ),
        (
            PutRequest {
                key: MARK.repeat(300),
                ..put()
            },
            Code::InvalidArgument,
        ),
        (
            PutRequest {
                single_use: true,
                ..put()
            },
            Code::FailedPrecondition,
        ),
        (
            PutRequest {
                precondition: Some(Precondition::IfAbsent(true)),
                ..put()
            },
            Code::AlreadyExists,
        ),
        (
            PutRequest {
                precondition: Some(Precondition::IfVersion(9)),
                ..put()
            },
            Code::Aborted,
        ),
        (
            PutRequest {
                value: MARK.repeat(1 << 20).into(),
                lease: MARK.into(),
                ..put()
            },
            Code::ResourceExhausted,
        ),
    ] {
        let status = within(stub.put(with_token(refused))).await.unwrap_err();
        assert_eq!(status.code(), code);
    }
    for target in [
        Target::Key("qzqz-key".into()),
        Target::KeyPrefix(MARK.into()),
        Target::Tag("qzqz-tag".into()),
    ] {
        let request = InvalidateRequest {
            namespace: "aws".into(),
            target: Some(target),
            ..Default::default()
        };
        within(stub.invalidate(with_token(request))).await.unwrap();
    }
    within(stub.get(with_token(get))).await.unwrap();
}

#[tokio::test]
async fn most_talkative_log_holds_nothing_that_callers_sent() {
    for format in ["text", "json"] {
        let mut server = Server::start(&["--log-level", "trace", "--log-format", format]);
        let address = server.listening_on();
        let log = server.collect_log();
        let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
        let channel = within(endpoint.connect()).await.unwrap();
        call_everything(&mut CredentialCacheServiceClient::new(channel)).await;
        server.signal(Signal::TERM);
        let log = within(tokio::task::spawn_blocking(|| log.join().unwrap()))
            .await
            .unwrap();
        assert_eq!(server.exit_code(), Some(0));

        assert!(log.contains("TRACE"), "{log}");
        assert!(log.contains("drained"), "{log}");
        if let Some(line) = log.lines().find(|line| line.contains(MARK)) {
            panic!("{line}");
        }
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
