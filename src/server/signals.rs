//! The signals that a server is sent, and what each asks for.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};
use tracing::info;

/// Signals that come together are one: `timeout` sends one to the process and
/// one to its group, a terminal and a supervisor may both send theirs.
const TOGETHER: Duration = Duration::from_secs(1);

/// SIGTERM, as an orchestrator sends it, and SIGINT, as a terminal does, ask to
/// drain. SIGQUIT, for those who don't want to wait, asks to end at once, and
/// leaves no core with the credentials in it. SIGHUP asks for nothing that there
/// is, and ends nothing.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    quit: Signal,
    hup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// To drain. Named, and when it came.
    Drain(&'static str, Instant),
    /// To end at once.
    AtOnce(&'static str),
}

impl Signals {
    /// From here on they no longer end the process by themselves.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that asks for an end. Cancel safe.
    pub(super) async fn stop(&mut self) -> Stop {
        loop {
            let signal = tokio::select! {
                _ = self.quit.recv() => return Stop::AtOnce("SIGQUIT"),
                _ = self.term.recv() => "SIGTERM",
                _ = self.int.recv() => "SIGINT",
                _ = self.hup.recv() => {
                    info!("SIGHUP: there is nothing to load anew");
                    continue;
                }
            };
            return Stop::Drain(signal, Instant::now());
        }
    }

    /// Waits for one that asks for the end of a drain that was asked for at
    /// `asked`; which. Cancel safe.
    pub(super) async fn force(&mut self, asked: Instant) -> &'static str {
        loop {
            match self.stop().await {
                Stop::AtOnce(signal) => return signal,
                Stop::Drain(signal, again) if again - asked >= TOGETHER => return signal,
                Stop::Drain(..) => {}
            }
        }
    }
}
