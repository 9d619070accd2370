//! The log of the binary at its most verbose level: it never contains a key, a value, a tag, an
//! attribute or a caller's header.

mod lost;

use std::{net::SocketAddr, time::Duration};

use credcache_client::proto::{
    GetRequest, InvalidateRequest, PutRequest,
    credential_cache_service_client::CredentialCacheServiceClient,
    invalidate_request::Target,
    put_request::{Lifetime, Precondition},
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Request, transport::Endpoint};

use crate::fixture::{RawPeer, Server, Stub, within};

/// A mark in every text that a caller sends.
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
                lease_token: MARK.into(),
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

/// The log when the server has ended.
async fn log_at_the_end(mut server: Server) -> String {
    let log = server.collect_log();
    server.signal(Signal::TERM);
    let log = tokio::task::spawn_blocking(|| log.join().unwrap());
    let log = within(log).await.unwrap();
    assert_eq!(server.exit_code(), Some(0));
    log
}

// A peer that sends 17 bytes must not make the server write 150.
#[tokio::test]
async fn stray_frames_are_not_logged_one_by_one() {
    const ACK: &[u8] = &[0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const FRAMES: usize = 10_000;
    for (level, most) in [("info", 0), ("warn", 0), ("info,h2=warn", 20)] {
        let mut server = Server::start(&["--log-level", level]);
        let address: SocketAddr = server.listening_on().parse().unwrap();
        let mut peer = RawPeer::connect(address).await;
        peer.send(&ACK.repeat(FRAMES)).await;
        peer.await_answer().await;
        let log = log_at_the_end(server).await;
        let lines = log.lines().filter(|line| line.contains("PING ack")).count();
        assert_eq!(lines, most, "{level}: {log}");
        if most > 0 {
            let left_out = format!("times={} said_by=\"h2::proto::ping_pong\"", FRAMES - most);
            assert!(log.contains(&left_out), "{log}");
        }
    }
}

#[tokio::test]
async fn client_of_another_protocol_is_told_of_once_and_by_its_name_alone() {
    let openings: [(&[u8], &str); 4] = [
        (
            b"GET /qzqz HTTP/1.1\r\nauthorization: qzqz\r\n\r\n",
            "speaks HTTP/1",
        ),
        (b"\x16\x03\x01\x00\x80\x01qzqz", "speaks TLS"),
        (b"PROXY TCP4 qzqz", "PROXY header"),
        (b"SSH-2.0-qzqz\r\n", "an unknown protocol"),
    ];
    let mut server = Server::start(&["--log-level", "trace"]);
    let address = server.listening_on();
    let log = server.collect_log();
    for (opening, _) in openings.repeat(5) {
        let mut stream = within(TcpStream::connect(&address)).await.unwrap();
        stream.write_all(opening).await.unwrap();
        // The connection is closed in one way or another: unread bytes may have reset it.
        let _ = within(stream.read_to_end(&mut Vec::new())).await;
    }
    server.signal(Signal::TERM);
    let log = within(tokio::task::spawn_blocking(|| log.join().unwrap()))
        .await
        .unwrap();
    assert_eq!(server.exit_code(), Some(0));
    for (_, text) in openings {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        assert_eq!(lines.len(), 1, "{text}: {log}");
        assert!(lines[0].contains(" WARN "), "{}", lines[0]);
        assert!(
            lines[0].contains(&format!("address={address}")),
            "{}",
            lines[0]
        );
    }
    assert!(!log.contains(MARK), "{log}");
}
