//! The events that a client reports, for programs that count them.

use std::{fmt, sync::Arc, time::Duration};

use crate::lookup::MissReason;

/// Receives the events of a client and its near caches, one call for each event: see
/// [`ClientBuilder::metrics`](crate::ClientBuilder::metrics).
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
///
/// use credcache_client::{Client, MetricEvent, Metrics};
///
/// #[derive(Default)]
/// struct Hits(AtomicU64);
///
/// impl Metrics for Hits {
///     fn record(&self, event: MetricEvent) {
///         if matches!(event, MetricEvent::Hit | MetricEvent::NearHit) {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let hits = Arc::new(Hits::default());
/// let builder = Client::builder().metrics(hits.clone());
/// ```
pub trait Metrics: Send + Sync + 'static {
    /// Records one event. It is called from within the call that the event is about,
    /// so it must be quick and must not block.
    fn record(&self, event: MetricEvent);
}

/// An event of a client or a near cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricEvent {
    /// The server answered a Get with a credential.
    Hit,
    /// The server answered a Get without one.
    Miss(MissReason),
    /// A near cache had a credential.
    NearHit,
    /// A credential was returned that this process had fetched while the server was
    /// unreachable.
    OutageCacheHit,
    /// A fetch brought a credential.
    Fetched {
        /// How long the fetch took.
        took: Duration,
    },
    /// A fetch failed, took too long, or brought an expired credential.
    FetchFailed {
        /// How long the fetch took.
        took: Duration,
    },
    /// A fetched credential wasn't stored: the server refused it, or was
    /// unreachable.
    NotStored,
    /// The server was found to be unreachable: calls of `get_or_fetch` go on without
    /// it.
    CircuitOpened,
    /// The server is back.
    CircuitClosed,
}

/// The receiver of a client's events, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Option<Arc<dyn Metrics>>);

impl Recorder {
    pub(crate) fn new(metrics: Arc<dyn Metrics>) -> Self {
        Self(Some(metrics))
    }

    #[inline]
    pub(crate) fn record(&self, event: MetricEvent) {
        if let Some(metrics) = &self.0 {
            metrics.record(event);
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Recorder" } else { "None" })
    }
}
