//! The signals by which people and supervisors end a command.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// What comes within this is the same wish told twice, not impatience: GNU
/// `timeout` signals its child and then its whole group.
const SAME_WISH: Duration = Duration::from_millis(500);

/// Listens from its making on: a signal ends the process no longer.
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

    /// Waits for the next one. Answers with what a shell would say of a process
    /// that it ended.
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

    /// Right after one: waits until somebody says it again.
    pub(super) async fn repeated(&mut self) {
        let told = Instant::now();
        loop {
            self.next().await;
            if told.elapsed() >= SAME_WISH {
                return;
            }
        }
    }
}
