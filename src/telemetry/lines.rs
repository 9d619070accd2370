//! The queue of log lines, from all threads to the one that writes. The queue is bounded in bytes;
//! lines that don't fit are dropped and counted.

use std::{io, mem, time::Duration};

use parking_lot::{Condvar, Mutex};

/// The capacity of the queue in bytes: a few seconds of log from a busy server. The batch that is
/// being written can hold the same again.
pub(super) const CAPACITY: usize = 1024 * 1024;

/// A queue of whole lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    waiting: Mutex<Waiting>,
    /// Notified when a line is queued, or a batch is taken or written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    /// The number of lines dropped since the last batch was taken.
    lost: u64,
    /// A batch was taken and is not written yet.
    writing: bool,
    /// A thread waits until everything is written.
    flushing: bool,
}

/// What the writer takes together with the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many lines were dropped since the batch before.
    pub(super) lost: u64,
    /// All notices are due now, because a thread waits in `flush`.
    pub(super) flushing: bool,
}

impl Lines {
    /// Adds a line, which ends with a line feed, or drops it if it doesn't fit.
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

    /// Moves the queued lines into `batch`, which is empty, as soon as there are any, or after
    /// `timeout`.
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

    /// Reports that the batch is written, or lost.
    pub(super) fn written(&self) {
        self.waiting.lock().writing = false;
        self.changed.notify_all();
    }

    /// Waits until everything is written or lost, but no longer than `timeout`.
    pub(super) fn flush(&self, timeout: Duration) {
        let mut waiting = self.waiting.lock();
        waiting.flushing = true;
        self.changed.notify_all();
        let busy =
            |waiting: &mut Waiting| waiting.flushing || waiting.writing || !waiting.text.is_empty();
        self.changed.wait_while_for(&mut waiting, busy, timeout);
    }
}

/// Each write is one line. Writing never fails.
impl io::Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
