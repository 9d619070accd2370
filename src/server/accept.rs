//! The accept loop of one listener. The loop survives every error, keeps to the number of
//! connections that all listeners share, and hands each connection to a worker.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tracing::warn;

use super::{
    listener::Listener,
    log_throttle::LogThrottle,
    slot::{Full, Slots},
    stranger::Strangers,
    workers::{Lost, Workers},
};

/// The pause after running out of file descriptors or buffers: until a connection has closed, the
/// next accept would fail as well.
const BACKOFF: Duration = Duration::from_millis(100);
/// The least time between two log lines about a repeated problem.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts until the task is aborted.
///
/// Above the limit, a connection is closed at once and not left in the backlog. Its client learns
/// within a round trip that it has to go elsewhere, instead of hanging until its deadline on a
/// connection that looks established.
///
/// `slots` are those of all listeners.
pub(super) async fn run(listener: Listener, slots: Arc<Slots>, workers: Arc<Workers>) {
    let mut failed = LogThrottle::every(LOG_INTERVAL);
    let mut full = LogThrottle::every(LOG_INTERVAL);
    let mut greedy = LogThrottle::every(LOG_INTERVAL);
    let strangers = Arc::new(Strangers::new(listener.address().clone()));
    loop {
        let (socket, holder) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(count) = failed.record() {
                    warn!(address = %listener.address(), %error, count, "accepting failed");
                }
                if is_exhaustion(&error) {
                    sleep(BACKOFF).await;
                }
                continue;
            }
        };
        let slot = match slots.take(holder) {
            Ok(slot) => slot,
            Err(Full::All) => {
                if let Some(count) = full.record() {
                    warn!(
                        address = %listener.address(), count,
                        "too many connections: closing new ones"
                    );
                }
                continue;
            }
            Err(Full::Share) => {
                if let Some(count) = greedy.record() {
                    warn!(
                        address = %listener.address(), ?holder, count,
                        "few connections are left, and this client has more than its share: \
                         closing its new ones"
                    );
                }
                continue;
            }
        };
        if let Err(Lost) = workers.hand_over(socket, slot, strangers.clone()).await {
            return;
        }
    }
}

/// Whether the error is EMFILE, ENFILE, ENOBUFS, ENOMEM or the like: every error except those of a
/// single connection, which has gone already.
fn is_exhaustion(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}
