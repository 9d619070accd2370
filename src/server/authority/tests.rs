//! Conversations through [`Authorities`], with h2 as the judge.

mod client;

use std::task::Waker;

use http::{Request, uri};
use proptest::{collection::vec, prelude::*, sample};
use tokio::io::AsyncWriteExt;

use self::client::*;
use super::*;

/// All refused authorities that clients were seen to send, and a few that they might.
const REFUSED: [&str; 14] = [
    "%2Ftmp%2Fx.sock",
    "%2Frun%2Fcredcache%2Fcredcache.sock",
    "/run/credcache/credcache.sock",
    "outbound|50051||credcache.prod.svc.cluster.local",
    "outbound_.50051_._.credcache|x",
    "extension/ns/x",
    "unix:/run/credcache.sock",
    "a b",
    "host:1:2",
    "<none>",
    "{}",
    "prüfer.sock",
    "user@",
    "\\\\.\\pipe",
];
const ACCEPTED: [&str; 7] = [
    "localhost",
    "credcache.svc:50051",
    "[::1]:50051",
    "10.0.0.1:1",
    "user:pw@host",
    "_credcache-1.svc",
    "xn--prfer-kva.example",
];

/// The bytes that come through when they arrive in pieces of these sizes in turn, and are read into
/// buffers of these sizes in turn.
fn passed(sent: &[u8], pieces: &[usize], buffers: &[usize]) -> Vec<u8> {
    let mut authorities = Authorities::new();
    let (mut pieces, mut buffers) = (pieces.iter().cycle(), buffers.iter().cycle());
    let (mut at, mut passed) = (0, Vec::new());
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let mut buffer = vec![0; *buffers.next().unwrap()];
        let mut buffer = ReadBuf::new(&mut buffer);
        let polled = authorities.poll_read(&mut cx, &mut buffer, |_, buffer| {
            let piece = (*pieces.next().unwrap()).min(buffer.remaining());
            let end = sent.len().min(at + piece);
            buffer.put_slice(&sent[at..end]);
            at = end;
            Poll::Ready(Ok(()))
        });
        assert!(matches!(polled, Poll::Ready(Ok(()))));
        if buffer.filled().is_empty() {
            return passed;
        }
        passed.extend_from_slice(buffer.filled());
    }
}

fn whole(sent: &[u8]) -> Vec<u8> {
    passed(sent, &[usize::MAX >> 1], &[1 << 20])
}

/// The calls that h2 accepts from these bytes.
async fn accepted_calls(sent: &[u8]) -> Vec<Request<()>> {
    let (mut client, server) = tokio::io::duplex(1 << 22);
    client.write_all(sent).await.unwrap();
    // Otherwise, h2 would wait for more.
    let end = frame(GOAWAY, 0, 0, &[0; 8]);
    client.write_all(&end).await.unwrap();
    let mut connection = h2::server::handshake(server).await.unwrap();
    let mut accepted_calls = Vec::new();
    while let Some(Ok((request, _))) = connection.accept().await {
        accepted_calls.push(request.map(drop));
    }
    accepted_calls
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Fails unless h2 received every call, with every field as sent except a refused authority.
fn assert_true_to(calls: &[Sent], received: &[Request<()>]) {
    assert_eq!(received.len(), calls.len());
    for (sent, received) in calls.iter().zip(received) {
        assert_eq!(received.uri().path(), "/a/B");
        let authority = received.uri().authority().unwrap().as_str();
        if is_accepted(&sent.authority) {
            assert_eq!(authority, sent.authority);
        } else {
            assert_eq!(authority.len(), sent.authority.len());
        }
        let expected = sent.headers.iter().map(|(name, len)| header(*name, *len));
        let mut expected: Vec<_> = expected.collect();
        let headers = received.headers().iter();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        expected.sort();
        headers.sort();
        assert_eq!(headers, expected);
    }
}

fn is_accepted(authority: &str) -> bool {
    uri::Authority::try_from(authority).is_ok()
}

#[test]
fn h2_refuses_by_itself_what_is_replaced() {
    for authority in REFUSED {
        let calls = [call(authority, false, false)];
        assert!(
            run(accepted_calls(&conversation(&calls))).is_empty(),
            "{authority}"
        );
    }
}

#[test]
fn every_authority_is_taken_in_every_form_and_by_number_afterwards() {
    for authority in REFUSED.into_iter().chain(ACCEPTED) {
        for (huffman, name_as_text) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let calls = vec![call(authority, huffman, name_as_text); 3];
            let received = run(accepted_calls(&whole(&conversation(&calls))));
            assert_true_to(&calls, &received);
        }
    }
}

#[test]
fn what_h2_takes_comes_through_unchanged() {
    for authority in ACCEPTED {
        for huffman in [false, true] {
            let sent = conversation(&[call(authority, huffman, false)]);
            assert_eq!(whole(&sent), sent);
        }
    }
}

#[test]
fn headers_that_break_off_come_through_as_they_are() {
    let sent = conversation(&[call("%2Ftmp%2Fx.sock", false, false)]);
    let start = PREFACE.len() + HEAD_LEN;
    for end in start..start + HEAD_LEN + 12 {
        assert_eq!(whole(&sent[..end]), &sent[..end]);
    }
}

fn form() -> impl Strategy<Value = Form> {
    any::<[bool; 4]>().prop_map(|[huffman, remembered, name_as_text, by_number]| Form {
        huffman,
        remembered,
        name_as_text,
        by_number,
    })
}

fn authority() -> impl Strategy<Value = String> {
    prop_oneof![
        sample::select(&REFUSED[..]).prop_map(str::to_owned),
        sample::select(&ACCEPTED[..]).prop_map(str::to_owned),
        "[ -~]{1,40}",
        "[%/|a-z0-9.:]{1,300}",
        "[^\u{0}-\u{1f}\u{7f}]{1,10}",
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    // The headers are long enough that HPACK forgets fields during a conversation.
    let header = (0_u8..8, prop_oneof![0_usize..20, 200_usize..1500]);
    let dressing = (any::<bool>(), proptest::option::of(any::<u8>()));
    (authority(), vec(header, 0..6), vec(form(), 1..8), dressing).prop_map(
        |(authority, headers, forms, dressing)| Sent {
            authority,
            headers,
            forms,
            dressing,
        },
    )
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1_usize..40, 1_usize..3000], 1..6)
}

proptest! {
    #[test]
    fn conversations_are_taken_however_they_are_encoded_and_split(
        calls in vec(sent(), 1..12),
        pieces in sizes(),
        buffers in sizes(),
    ) {
        let bytes = conversation(&calls);
        let passed = passed(&bytes, &pieces, &buffers);
        prop_assert_eq!(passed.len(), bytes.len());
        assert_true_to(&calls, &run(accepted_calls(&passed)));
    }

    #[test]
    fn nothing_else_is_changed_and_nothing_is_lost(
        frames in vec((0_u8..12, any::<u8>(), vec(any::<u8>(), 0..200)), 0..20),
        pieces in sizes(),
        buffers in sizes(),
    ) {
        let mut bytes = PREFACE.to_vec();
        for (kind, flags, payload) in &frames {
            bytes.extend(frame(*kind, *flags, 1, payload));
        }
        let passed = passed(&bytes, &pieces, &buffers);
        prop_assert_eq!(passed.len(), bytes.len());
        let mut at = PREFACE.len();
        for (kind, _, payload) in &frames {
            let end = at + HEAD_LEN + payload.len();
            if *kind != HEADERS {
                prop_assert_eq!(&passed[at..end], &bytes[at..end]);
            } else {
                prop_assert_eq!(&passed[at..at + HEAD_LEN], &bytes[at..at + HEAD_LEN]);
            }
            at = end;
        }
    }
}

#[test]
fn block_over_several_frames_comes_through_as_it_is() {
    // The authority is in the second frame.
    let mut encoder = Encoder::default();
    let Sent { forms, .. } = call("", false, false);
    let mut block = vec![0x83, 0x86];
    encoder.field(&mut block, 4, ":path", "/a/B", forms[0]);
    let first = block.len();
    encoder.field(&mut block, 1, ":authority", "localhost", forms[0]);
    for end in [first, first + 1, first + 2, first + 5] {
        let bytes = [
            PREFACE,
            &frame(SETTINGS, 0, 0, &[]),
            &frame(HEADERS, END_STREAM, 1, &block[..end]),
            &frame(CONTINUATION, END_HEADERS, 1, &block[end..]),
        ]
        .concat();
        assert_eq!(whole(&bytes), bytes);
        assert_eq!(run(accepted_calls(&bytes)).len(), 1);
    }
}
