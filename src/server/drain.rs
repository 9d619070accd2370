//! The flag that the drain has begun.

use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

/// Begins the drain. Only the server holds this end of the flag.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<bool>);

/// Reports whether the drain has begun.
#[derive(Clone, Debug)]
pub(crate) struct Draining(watch::Receiver<bool>);

impl Drain {
    pub(crate) fn new() -> (Self, Draining) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Draining(receiver))
    }

    /// Begins the drain. The sender is dropped with that, so that streams of changes end and don't
    /// hold up the drain.
    pub(crate) fn begin(self) {
        self.0.send_replace(true);
    }
}

impl Draining {
    /// Whether the drain has begun. This is one atomic load, because every call asks.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// The current state, then `true` when the drain begins if it hadn't; then the stream ends.
    pub(crate) fn changes(&self) -> WatchStream<bool> {
        WatchStream::new(self.0.clone())
    }
}
