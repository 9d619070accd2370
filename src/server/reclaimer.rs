//! Takes back the memory of expired credentials, on a thread of its own so
//! that no call waits for it. Nothing but memory depends on it.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

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
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    cache.reclaim(clock.now());
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
            // It has panicked if this fails, and said so.
            let _ = thread.join();
        }
    }
}
