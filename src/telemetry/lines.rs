//! Lines that wait to be written: a queue of so many bytes, from all threads to
//! the one that writes. What there's no room for is dropped and counted.

use std::{io, mem, time::Duration};

use parking_lot::{Condvar, Mutex};

/// What may wait, in bytes: some seconds of a busy server at its most
/// talkative. The batch that is being written holds as much besides.
pub(super) const CAPACITY: usize = 1024 * 1024;

/// A queue of whole lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    waiting: Mutex<Waiting>,
    /// Something came, was taken or is written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    /// Dropped since the last batch was taken.
    lost: u64,
    /// A batch is taken and not written yet.
    writing: bool,
    /// Somebody waits for everything to be written.
    flushing: bool,
}

/// What the writer takes besides the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many lines there was no room for, after those that were taken.
    pub(super) lost: u64,
    /// Whatever there is to say is to be said now.
    pub(super) flushing: bool,
}

impl Lines {
    /// Adds a line, which ends with a line feed; drops it where it doesn't fit.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.text.len() + line.len() > CAPACITY {
            waiting.lost += 1;
            return;
        }
        waiting.text.extend_from_slice(line);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Moves what waits into `batch`, which is empty, as soon as there is
    /// something, or else when the time is over.
    pub(super) fn take(&self, batch: &mut Vec<u8>, timeout: Duration) -> Taken {
        let mut waiting = self.waiting.lock();
        let idle = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.flushing;
        self.changed.wait_while_for(&mut waiting, idle, timeout);
        mem::swap(&mut waiting.text, batch);
        waiting.writing = true;
        Taken {
            lost: mem::take(&mut waiting.lost),
            flushing: mem::take(&mut waiting.flushing),
        }
    }

    /// What was taken is written, or lost.
    pub(super) fn written(&self) {
        self.waiting.lock().writing = false;
        self.changed.notify_all();
    }

    /// Waits until everything is written or lost, or the time is over.
    pub(super) fn flush(&self, timeout: Duration) {
        let mut waiting = self.waiting.lock();
        waiting.flushing = true;
        self.changed.notify_all();
        let busy =
            |waiting: &mut Waiting| waiting.flushing || waiting.writing || !waiting.text.is_empty();
        self.changed.wait_while_for(&mut waiting, busy, timeout);
    }
}

/// Takes a line with each write, and never fails.
impl io::Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
