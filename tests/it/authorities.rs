//! Calls with every kind of `:authority` are answered, over TCP and over a Unix socket.

use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use crate::fixture::{CHECK, EMPTY_MESSAGE, Running, config, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const SERVING: u8 = 1;

/// The authorities that gRPC's C core, gRPC for Java and gRPC for Swift send to a Unix socket, that
/// Envoy sends to a cluster and to a filter's service, and that hosts have.
const AUTHORITIES: [&str; 8] = [
    "%2Ftmp%2Fx.sock",
    "/run/credcache/credcache.sock",
    "%2Frun%2Fcredcache%2Fcredcache.sock",
    "outbound|50051||name",
    "extension/ns/x",
    "localhost",
    "user:password@credcache.svc:50051",
    "[::1]:50051",
];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [len[1], len[2], len[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// A text in HPACK's encoding, short and not compressed.
fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// A POST of these fields, each with the number of its name or with its name.
fn check(authority: &[u8]) -> Vec<u8> {
    let known = [0x83, 0x86];
    let path = [&[0x04][..], &text(CHECK)].concat();
    let content_type = [&[0x5f][..], &text("application/grpc")].concat();
    [&known[..], &path, authority, &content_type].concat()
}

/// A client of its own that sends the bytes of a generated client.
struct Wire<S> {
    stream: S,
    calls: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    async fn new(mut stream: S) -> Self {
        let start = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        stream.write_all(&start).await.unwrap();
        Self { stream, calls: 0 }
    }

    /// Calls Check with this block of headers. Returns the reported status, or `None` if the call
    /// is reset.
    async fn call(&mut self, block: &[u8]) -> Option<u8> {
        let stream = 1 + 2 * self.calls;
        self.calls += 1;
        let call = [
            frame(HEADERS, END_HEADERS, stream, block),
            frame(DATA, END_STREAM, stream, EMPTY_MESSAGE),
        ];
        self.stream.write_all(&call.concat()).await.unwrap();
        self.answer(stream).await
    }

    async fn answer(&mut self, stream: u32) -> Option<u8> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.unwrap();
            let [high, middle, low, kind, _, of @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
            self.stream.read_exact(&mut payload).await.unwrap();
            match kind {
                DATA if of == stream.to_be_bytes() => return payload.last().copied(),
                RESET if of == stream.to_be_bytes() => return None,
                _ => {}
            }
        }
    }

    /// Calls with every authority, by the number and by the text of its name, and then by index.
    async fn call_with_all(&mut self) {
        for authority in AUTHORITIES {
            let value = text(authority);
            for name in [vec![0x41], [&[0x40][..], &text(":authority")].concat()] {
                let remembered = [&name[..], &value].concat();
                assert_eq!(
                    self.call(&check(&remembered)).await,
                    Some(SERVING),
                    "{authority}"
                );
                // The newest entry of the table is the content-type that follows the authority.
                let by_reference = check(&[0xbf]);
                assert_eq!(self.call(&by_reference).await, Some(SERVING), "{authority}");
            }
        }
        assert_eq!(self.call(&check(&[])).await, Some(SERVING), "none at all");
    }
}

#[tokio::test]
async fn calls_are_answered_whatever_their_authority_is() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("c.sock");
    let mut config = config("");
    config
        .listen
        .push(format!("unix:{}", socket.display()).parse().unwrap());
    let server = Running::start(&config).await;
    let tcp = TcpStream::connect(server.address).await.unwrap();
    within(Wire::new(tcp).await.call_with_all()).await;
    let unix = UnixStream::connect(&socket).await.unwrap();
    within(Wire::new(unix).await.call_with_all()).await;
}

#[tokio::test]
async fn empty_authority_resets_its_call_alone() {
    let server = Running::start(&config("")).await;
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let mut wire = Wire::new(tcp).await;
    assert_eq!(within(wire.call(&check(&[0x01, 0]))).await, None);
    let good = [&[0x01][..], &text("localhost")].concat();
    assert_eq!(within(wire.call(&check(&good))).await, Some(SERVING));
}

#[tokio::test]
async fn call_that_comes_byte_by_byte_is_answered() {
    let server = Running::start(&config("")).await;
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let block = check(&[&[0x01][..], &text("%2Ftmp%2Fx.sock")].concat());
    let call = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &[]),
        &frame(HEADERS, END_HEADERS, 1, &block),
    ]
    .concat();
    for byte in call {
        tcp.write_all(&[byte]).await.unwrap();
    }
    let end = frame(DATA, END_STREAM, 1, EMPTY_MESSAGE);
    tcp.write_all(&end).await.unwrap();
    let mut wire = Wire {
        stream: tcp,
        calls: 1,
    };
    assert_eq!(within(wire.answer(1)).await, Some(SERVING));
}
