//! What ends a connection, besides its peer and its socket.

use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::socket::Socket;

/// How long a peer may be silent before it is pinged, and how long the answer may
/// take before the peer counts as gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A call has ended, which changes nothing.
    CallEnded,
    /// The peer is asked to go elsewhere; calls in flight go on.
    Leave,
    /// The connection ends at once.
    Cut,
    /// The peer does not answer.
    PeerGone,
}

/// What a connection waits for besides its calls.
pub(super) struct Lifecycle {
    pub(super) cut: CancellationToken,
    pub(super) finish: CancellationToken,
    /// When the connection has lived long enough.
    pub(super) retires: Instant,
}

impl Lifecycle {
    /// Waits for the drain, for the connection's age, or for its end.
    pub(super) async fn leave(self) -> Event {
        tokio::select! {
            biased;
            () = self.cut.cancelled() => Event::Cut,
            () = self.finish.cancelled() => Event::Leave,
            () = sleep_until(self.retires) => Event::Leave,
        }
    }
}

/// Waits until the server cuts connections.
pub(super) async fn cut(cut: CancellationToken) -> Event {
    cut.cancelled().await;
    Event::Cut
}

/// Pings a silent peer until one ping isn't answered.
pub(super) async fn keep_alive(mut pings: PingPong, socket: Socket) -> Event {
    let mut read = socket.read();
    loop {
        sleep(PING_INTERVAL).await;
        let now = socket.read();
        if now != read {
            read = now;
            continue;
        }
        match timeout(PING_TIMEOUT, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Event::PeerGone,
        }
    }
}
