//! The one bit that says the server is going away, for whoever must know.

use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

/// Begins the drain; held by the server alone.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<bool>);

/// Says whether the drain has begun.
#[derive(Clone, Debug)]
pub(crate) struct Draining(watch::Receiver<bool>);

impl Drain {
    pub(crate) fn new() -> (Self, Draining) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Draining(receiver))
    }

    /// Tells everybody. The sender ends with that, so that streams of changes
    /// end too and don't hold up the drain.
    pub(crate) fn begin(self) {
        self.0.send_replace(true);
    }
}

impl Draining {
    /// Whether the drain has begun: one atomic load, for it is asked on every
    /// call.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// The state now and, if it wasn't that yet, `true` when the drain begins;
    /// then the stream ends.
    pub(crate) fn changes(&self) -> WatchStream<bool> {
        WatchStream::new(self.0.clone())
    }
}
