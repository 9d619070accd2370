//! The signals by which people and supervisors end a command.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from its making on: a signal ends the process no longer.
pub(super) struct Interrupts([(SignalKind, Signal); 3]);

impl Interrupts {
    pub(super) fn listen() -> io::Result<Self> {
        let listen = |kind| Ok::<_, io::Error>((kind, signal(kind)?));
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Waits for the next one. Answers with what a shell would say of a process
    /// that it ended.
    pub(super) async fn next(&mut self) -> u8 {
        let [(int, ints), (term, terms), (hup, hups)] = &mut self.0;
        let kind = tokio::select! {
            _ = ints.recv() => int,
            _ = terms.recv() => term,
            _ = hups.recv() => hup,
        };
        u8::try_from(kind.as_raw_value()).map_or(u8::MAX, |number| number.saturating_add(128))
    }
}
