//! The signals by which people and supervisors end a command.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// Signals within this time count as one signal: GNU `timeout` signals its child and then its whole
/// group.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// A listener for the signals. From its creation on, they no longer end the process.
pub(super) struct Interrupts([(SignalKind, Signal); 4]);

impl Interrupts {
    pub(super) fn listen() -> io::Result<Self> {
        let listen = |kind| Ok::<_, io::Error>((kind, signal(kind)?));
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
            listen(SignalKind::quit())?,
        ]))
    }

    /// Waits for the next signal. Returns the exit code by which a shell reports a process that
    /// this signal ended.
    pub(super) async fn next(&mut self) -> u8 {
        let [(int, ints), (term, terms), (hup, hups), (quit, quits)] = &mut self.0;
        let kind = tokio::select! {
            _ = ints.recv() => int,
            _ = terms.recv() => term,
            _ = hups.recv() => hup,
            _ = quits.recv() => quit,
        };
        u8::try_from(kind.as_raw_value()).map_or(u8::MAX, |number| number.saturating_add(128))
    }

    /// Called right after a signal: waits until a person repeats it.
    pub(super) async fn repeated(&mut self) {
        let first = Instant::now();
        loop {
            self.next().await;
            if first.elapsed() >= SAME_REQUEST {
                return;
            }
        }
    }
}
