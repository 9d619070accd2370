//! What the calls and watches of the test's server share.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{broadcast, mpsc, watch},
    time::{Instant, timeout_at},
};
use tonic::Status;

use super::store::TestStore;
use crate::proto::{self, watch_response::Event};

/// How many events a watcher may be behind before it receives a `Reset`.
const EVENTS: usize = 1024;
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct ServerState {
    store: Mutex<TestStore>,
    /// Wakes the callers who wait: there may be a credential now.
    pub(super) changed: watch::Sender<()>,
    /// Events with their namespaces. Sent with the store locked.
    pub(super) events: broadcast::Sender<(String, proto::WatchResponse)>,
    pub(super) unavailable: watch::Sender<bool>,
    pub(super) instance_id: String,
}

impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState").finish_non_exhaustive()
    }
}

impl ServerState {
    pub(super) fn new() -> Self {
        Self {
            store: Mutex::default(),
            changed: watch::Sender::new(()),
            events: broadcast::Sender::new(EVENTS),
            unavailable: watch::Sender::new(false),
            instance_id: format!("testing-{}", fastrand::u64(..)),
        }
    }

    // Never held over an await.
    pub(super) fn store(&self) -> MutexGuard<'_, TestStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn check_available(&self) -> Result<(), Status> {
        match *self.unavailable.borrow() {
            true => Err(Status::unavailable("the test's server is unavailable")),
            false => Ok(()),
        }
    }

    pub(super) fn put(&self, request: proto::PutRequest) -> Result<proto::PutResponse, Status> {
        let mut store = self.store();
        let (namespace, key) = (request.namespace.clone(), request.key.clone());
        let response = store.put(request)?;
        let version = response.version;
        self.send_event(
            namespace,
            Event::Replaced(proto::Replaced { key, version }),
            version,
        );
        Ok(response)
    }

    /// Must be called with the store locked, so that events come in the order of
    /// revisions.
    pub(super) fn send_event(&self, namespace: String, event: Event, revision: u64) {
        let event = Some(event);
        let _ = self
            .events
            .send((namespace, proto::WatchResponse { event, revision }));
        self.changed.send_replace(());
    }

    fn heartbeat(&self) -> proto::WatchResponse {
        let instance_id = self.instance_id.clone();
        proto::WatchResponse {
            event: Some(Event::Heartbeat(proto::Heartbeat { instance_id })),
            revision: self.store().revision,
        }
    }

    fn reset(&self) -> proto::WatchResponse {
        let instance_id = self.instance_id.clone();
        proto::WatchResponse {
            event: Some(Event::Reset(proto::Reset { instance_id })),
            revision: self.store().revision,
        }
    }

    /// Sends the events of a watch. Ends with the watcher, with the server, or when the
    /// server becomes unavailable.
    pub(super) async fn watch(
        self: Arc<Self>,
        request: proto::WatchRequest,
        mut events: broadcast::Receiver<(String, proto::WatchResponse)>,
        to: mpsc::Sender<Result<proto::WatchResponse, Status>>,
    ) {
        let mut unavailable = self.unavailable.subscribe();
        let first = self.heartbeat();
        let is_new = request.instance_id.is_empty() || request.start_revision == 0;
        let is_known =
            request.instance_id == self.instance_id && request.start_revision == first.revision;
        let first = if is_new || is_known {
            first
        } else {
            self.reset()
        };
        if to.send(Ok(first)).await.is_err() {
            return;
        }
        let mut next = Instant::now() + HEARTBEAT_INTERVAL;
        loop {
            let event = tokio::select! {
                _ = unavailable.wait_for(|unavailable| *unavailable) => return,
                () = to.closed() => return,
                event = timeout_at(next, events.recv()) => event,
            };
            let message = match event {
                Ok(Ok((namespace, _))) if namespace != request.namespace => continue,
                Ok(Ok((_, event))) => event,
                Ok(Err(broadcast::error::RecvError::Lagged(_))) => {
                    events = self.events.subscribe();
                    self.reset()
                }
                Ok(Err(broadcast::error::RecvError::Closed)) => return,
                Err(_) => {
                    next = Instant::now() + HEARTBEAT_INTERVAL;
                    // Events that were sent since come first.
                    if !events.is_empty() {
                        continue;
                    }
                    self.heartbeat()
                }
            };
            if to.send(Ok(message)).await.is_err() {
                return;
            }
        }
    }
}
