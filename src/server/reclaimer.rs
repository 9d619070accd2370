//! Takes back the memory of expired credentials, on a thread of its own so
//! that no call waits for it. Nothing but memory depends on it, and that
//! enough for the process not to outlive it.

use std::{
    io,
    panic::{self, AssertUnwindSafe},
    process,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing::error;

use crate::{cache::Cache, clock::Clock};

/// An expired credential's memory is kept no longer than about this, and the
/// second by which a stepped clock may delay it.
const INTERVAL: Duration = Duration::from_millis(250);

/// Reclaims until it is dropped.
#[derive(Debug)]
pub struct Reclaimer {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reclaimer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(cache: Arc<Cache>, clock: Arc<Clock>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("reclaimer".into())
            .spawn(move || {
                let reclaim = AssertUnwindSafe(|| {
                    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                        cache.reclaim(clock.now());
                    }
                });
                // Without it expired secrets would stay in memory unnoticed,
                // and who knows what it was in the middle of: a restart loses
                // no more than a cache may.
                if panic::catch_unwind(reclaim).is_err() {
                    error!("nothing takes back expired credentials any more: aborting");
                    process::abort();
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Reclaimer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Can't fail: a panic would have ended the process.
            let _ = thread.join();
        }
    }
}
