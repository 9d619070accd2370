//! The accept loop of one listener: goes on whatever happens, keeps to the
//! number of connections that all listeners share, and hands each to a worker.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::sleep};
use tracing::warn;

use super::{
    listener::Listener,
    stranger::Strangers,
    trouble::Trouble,
    workers::{Lost, Workers},
};

/// Out of file descriptors or buffers, the next accept would fail as well
/// until some connection has gone.
const BACKOFF: Duration = Duration::from_millis(100);
/// How often a repeated trouble is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts until the task is aborted.
///
/// Above the limit a connection is closed at once, not left in the backlog: its
/// client learns within a round trip that it has to go elsewhere, instead of
/// hanging until its deadline on a connection that looks established.
///
/// `slots` has one permit for each connection there may be.
pub(super) async fn run(listener: Listener, slots: Arc<Semaphore>, workers: Arc<Workers>) {
    let mut failed = Trouble::told_every(LOG_INTERVAL);
    let mut full = Trouble::told_every(LOG_INTERVAL);
    let strangers = Arc::new(Strangers::new(listener.address().clone()));
    loop {
        let socket = match listener.accept().await {
            Ok(socket) => socket,
            Err(error) => {
                if let Some(count) = failed.tell() {
                    warn!(address = %listener.address(), %error, count, "accepting failed");
                }
                if is_exhaustion(&error) {
                    sleep(BACKOFF).await;
                }
                continue;
            }
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            if let Some(count) = full.tell() {
                warn!(address = %listener.address(), count, "too many connections: closing new ones");
            }
            continue;
        };
        if let Err(Lost) = workers.hand_over(socket, slot, strangers.clone()).await {
            return;
        }
    }
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM: everything but errors of the one
/// connection, which is gone already.
fn is_exhaustion(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}
