//! The signals that the server handles.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};
use tracing::info;

/// Signals within this time count as one: `timeout` sends one to the process and one to its group,
/// and a terminal and a supervisor may both send theirs.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// The signals. SIGTERM, which orchestrators send, and SIGINT, which terminals send, request a
/// drain. SIGQUIT requests an end at once, and leaves no core dump with credentials in it. SIGHUP
/// does nothing.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    quit: Signal,
    hup: Signal,
}

/// What a signal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A drain. The fields are the signal's name and the time at which it came.
    Drain(&'static str, Instant),
    /// An end at once. The field is the signal's name.
    AtOnce(&'static str),
}

impl Signals {
    /// Installs the handlers. From here on, the signals no longer end the process by themselves.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that requests an end. Cancel safe.
    pub(super) async fn stop(&mut self) -> Stop {
        loop {
            let signal = tokio::select! {
                _ = self.quit.recv() => return Stop::AtOnce("SIGQUIT"),
                _ = self.term.recv() => "SIGTERM",
                _ = self.int.recv() => "SIGINT",
                _ = self.hup.recv() => {
                    info!("SIGHUP: there is nothing to reload");
                    continue;
                }
            };
            return Stop::Drain(signal, Instant::now());
        }
    }

    /// Waits for a signal that ends a drain requested at `requested`, and returns its name. Cancel
    /// safe.
    pub(super) async fn force(&mut self, requested: Instant) -> &'static str {
        loop {
            match self.stop().await {
                Stop::AtOnce(signal) => return signal,
                Stop::Drain(signal, at) if at - requested >= SAME_REQUEST => return signal,
                Stop::Drain(..) => {}
            }
        }
    }
}
