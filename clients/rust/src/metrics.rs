//! What a client tells of its work, for whatever counts it.

use std::{fmt, sync::Arc, time::Duration};

use crate::MissReason;

/// Is told what a client and its near caches do, one call for each of it: see
/// [`Builder::metrics`](crate::Builder::metrics).
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
///
/// use credcache_client::{Client, Measured, Metrics};
///
/// #[derive(Default)]
/// struct Hits(AtomicU64);
///
/// impl Metrics for Hits {
///     fn record(&self, measured: Measured) {
///         if matches!(measured, Measured::Hit | Measured::NearHit) {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let hits = Arc::new(Hits::default());
/// let builder = Client::builder().metrics(hits.clone());
/// ```
pub trait Metrics: Send + Sync + 'static {
    /// Called from within the call that it is about, so it must be quick, and
    /// must not wait.
    fn record(&self, measured: Measured);
}

/// Something that a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measured {
    /// The server answered a Get with a credential.
    Hit,
    /// The server answered a Get without one.
    Miss(MissReason),
    /// A near cache had a credential.
    NearHit,
    /// A credential was handed out that this process had fetched while the
    /// server was away.
    KeptHit,
    /// A fetch brought a credential.
    Fetched {
        /// How long that took.
        took: Duration,
    },
    /// A fetch failed, took too long, or brought what had ended already.
    FetchFailed {
        /// How long that took.
        took: Duration,
    },
    /// What was fetched wasn't stored: refused by the server, or the server was
    /// away.
    NotStored,
    /// The server was found to be away: calls of `get_or_fetch` go on without it.
    Away,
    /// The server is back.
    Back,
}

/// Where to tell it, if anywhere.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Option<Arc<dyn Metrics>>);

impl Recorder {
    pub(crate) fn new(metrics: Arc<dyn Metrics>) -> Self {
        Self(Some(metrics))
    }

    #[inline]
    pub(crate) fn record(&self, measured: Measured) {
        if let Some(metrics) = &self.0 {
            metrics.record(measured);
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Recorder" } else { "None" })
    }
}
