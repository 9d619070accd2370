//! Watchers that begin to watch and then never read their streams, on connections that go on.

use credcache_client::proto::{WatchRequest, WatchResponse, watch_response::Event};
use h2::{
    RecvStream,
    client::{Builder, SendRequest},
};
use http::Request;
use prost::{
    Message,
    bytes::{Buf, Bytes, BytesMut},
};
use tokio::{
    net::TcpStream,
    task::{JoinHandle, JoinSet},
};

/// How much of an unread stream the client accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Windows {
    /// A part of the first event, on a connection that accepts all of it.
    Small,
    /// HTTP/2's initial window, which the streams of a connection share.
    Default,
}

/// A connection of watchers.
pub(crate) struct Connection {
    streams: Vec<RecvStream>,
    _requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Connection {
    /// Begins `count` watches of the namespace, and returns when all have begun.
    pub(crate) async fn watch(
        address: &str,
        windows: Windows,
        namespace: &str,
        count: usize,
    ) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut builder = Builder::new();
        if let Windows::Small = windows {
            builder
                .initial_window_size(256)
                .initial_connection_window_size(1 << 30);
        }
        let (mut requests, connection) = builder.handshake(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            requests = requests.ready().await.unwrap();
            let path = "/credcache.v1.CredentialCacheService/Watch";
            let request = Request::post(format!("http://credcache{path}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(())
                .unwrap();
            let (response, mut body) = requests.send_request(request, false).unwrap();
            body.send_data(framed(namespace), true).unwrap();
            streams.push(response.await.unwrap().into_body());
        }
        Self {
            streams,
            _requests: requests,
            connection,
        }
    }

    /// Reads every stream up to its `Reset`, and returns the revisions of these.
    pub(crate) async fn read_until_reset(mut self) -> Vec<u64> {
        let readers: JoinSet<u64> = self.streams.drain(..).map(until_reset).collect();
        let revisions = readers.join_all().await;
        self.connection.abort();
        revisions
    }
}

/// Fails if a change is repeated or out of order before the `Reset`.
async fn until_reset(mut stream: RecvStream) -> u64 {
    let mut unread = BytesMut::new();
    let mut last = 0;
    loop {
        while let Some(message) = next(&mut unread) {
            match message.event.unwrap() {
                Event::Reset(_) => return message.revision,
                Event::Heartbeat(_) => assert!(message.revision >= last),
                Event::Replaced(_) | Event::Invalidated(_) => assert!(message.revision > last),
            }
            last = message.revision;
        }
        let data = stream.data().await.expect("the stream goes on").unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        unread.extend_from_slice(&data);
    }
}

/// The first message, if it is complete.
fn next(unread: &mut BytesMut) -> Option<WatchResponse> {
    let length = unread.get(1..5)?.try_into().unwrap();
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
    if unread.len() < 5 + length {
        return None;
    }
    unread.advance(5);
    Some(WatchResponse::decode(unread.split_to(length)).unwrap())
}

fn framed(namespace: &str) -> Bytes {
    let request = WatchRequest {
        namespace: namespace.into(),
        ..Default::default()
    };
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), &message].concat().into()
}
