//! The thread that writes the log. No other thread waits for stderr or sees its errors.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use tokio::time::Instant;

use super::{lines::Lines, notice::Notice, repeats::Repeats};
use crate::config::LogFormat;

/// The window of time in which the lines of a call site are counted together.
const WINDOW: Duration = Duration::from_secs(10);
/// How soon a notice about lost lines is retried when no other line is written.
const RETRY: Duration = Duration::from_secs(1);

/// Writes lines to `out`.
pub(super) struct Writer<W> {
    lines: Arc<Lines>,
    repeats: Arc<Repeats>,
    format: LogFormat,
    out: W,
    batch: Vec<u8>,
    /// The rest of a line that is partly written. It has to be written before anything else.
    torn: Vec<u8>,
    /// The number of lost lines that no notice has reported yet.
    lost: u64,
    window_ends: Instant,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(lines: Arc<Lines>, repeats: Arc<Repeats>, format: LogFormat, out: W) -> Self {
        Self {
            lines,
            repeats,
            format,
            out,
            batch: Vec::new(),
            torn: Vec::new(),
            lost: 0,
            window_ends: Instant::now() + WINDOW,
        }
    }

    /// Writes until the process ends.
    pub(super) fn run(mut self) {
        loop {
            let window = self.window_ends.saturating_duration_since(Instant::now());
            let timeout = if self.lost > 0 {
                window.min(RETRY)
            } else {
                window
            };
            self.round(timeout);
        }
    }

    /// Writes one batch: the queued lines, or those that come within `timeout`.
    fn round(&mut self, timeout: Duration) {
        let taken = self.lines.take(&mut self.batch, timeout);
        if taken.flushing || self.window_ends <= Instant::now() {
            for left_out in self.repeats.next_window() {
                let line = Notice::LeftOut(left_out).line(self.format);
                self.batch.extend_from_slice(&line);
            }
            self.window_ends = Instant::now() + WINDOW;
        }
        let batch = mem::take(&mut self.batch);
        let is_writable = if self.settle() {
            self.write(&batch)
        } else {
            self.lost += lines_in(&batch);
            false
        };
        self.lost += taken.lost;
        if is_writable {
            self.settle();
        }
        self.batch = batch;
        self.batch.clear();
        self.lines.written();
    }

    /// Finishes the line that is partly written, then reports the lost lines. Returns whether both
    /// are done.
    fn settle(&mut self) -> bool {
        let torn = mem::take(&mut self.torn);
        self.torn = self.put(&torn).to_vec();
        if !self.torn.is_empty() {
            return false;
        }
        if self.lost == 0 {
            return true;
        }
        let notice = Notice::Lost(self.lost).line(self.format);
        let rest = self.put(&notice);
        if rest.len() < notice.len() {
            self.lost = 0;
            self.torn = rest.to_vec();
        }
        rest.is_empty()
    }

    /// Writes whole lines, and returns whether all of them are written. Otherwise keeps the rest of
    /// a partly written line and counts the others as lost.
    fn write(&mut self, lines: &[u8]) -> bool {
        let rest = self.put(lines);
        let is_torn =
            rest.len() < lines.len() && !lines[..lines.len() - rest.len()].ends_with(b"\n");
        let lost = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) if is_torn => {
                let (torn, lost) = rest.split_at(end + 1);
                self.torn = torn.to_vec();
                lost
            }
            _ => rest,
        };
        self.lost += lines_in(lost);
        rest.is_empty()
    }

    /// Writes as much as possible, and returns the rest.
    fn put<'a>(&mut self, mut text: &'a [u8]) -> &'a [u8] {
        while !text.is_empty() {
            match self.out.write(text) {
                Ok(0) => break,
                Ok(written) => text = &text[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        text
    }
}

fn lines_in(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// The descriptor of stderr, without the lock of [`io::stderr`]: other writers would have to wait
/// for that lock.
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        loop {
            match rustix::io::write(&stderr, text) {
                // A process that shares the descriptor may have made it non-blocking.
                Err(Errno::AGAIN) => {
                    poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None)?;
                }
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for this many bytes.
    #[derive(Default)]
    struct Disk {
        room: usize,
        text: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            let taken = text.len().min(self.room).min(7);
            self.text.extend_from_slice(&text[..taken]);
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn writer(room: usize, format: LogFormat) -> Writer<Disk> {
        let disk = Disk {
            room,
            ..Disk::default()
        };
        Writer::new(Arc::default(), Arc::default(), format, disk)
    }

    impl Writer<Disk> {
        fn log(&mut self, lines: impl IntoIterator<Item = usize>) {
            for line in lines {
                self.lines.push(format!("line {line}\n").as_bytes());
            }
            self.round(Duration::ZERO);
        }

        fn written(&self) -> Vec<&str> {
            let text = std::str::from_utf8(&self.out.text).unwrap();
            assert!(text.ends_with('\n'), "{text:?}");
            text.lines().collect()
        }
    }

    #[test]
    fn lines_of_a_full_disk_are_counted_and_told_when_there_is_room_again() {
        // A part of "line 2" still fits.
        for room in 21..=28 {
            let mut writer = writer(room, LogFormat::Text);
            writer.log(0..5);
            writer.log(5..7);
            writer.log([]);
            writer.out.room = usize::MAX;
            writer.log([7]);
            let written = writer.written();
            let whole = if room == 21 { 3 } else { 4 };
            assert_eq!(written.len(), whole + 2, "{room}: {written:?}");
            assert_eq!(written[whole - 1], format!("line {}", whole - 1));
            let notice = written[whole];
            let lost = format!("lines={}", 7 - whole);
            assert!(notice.contains(" WARN credcache::telemetry"), "{notice}");
            assert!(notice.ends_with(&lost), "{room}: {notice}");
            assert_eq!(written[whole + 1], "line 7");
        }
    }

    #[test]
    fn notice_that_is_torn_is_ended_and_not_repeated() {
        let mut writer = writer(0, LogFormat::Json);
        writer.log(0..3);
        writer.out.room = 10;
        writer.log([]);
        writer.log([3]);
        writer.out.room = usize::MAX;
        writer.log([]);
        let written = writer.written();
        let notices: Vec<serde_json::Value> = written
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let lost: Vec<_> = notices.iter().map(|notice| &notice["lines"]).collect();
        assert_eq!(lost, [3, 1]);
        assert_eq!(notices[0]["level"], "WARN");
    }

    #[test]
    fn lines_beyond_the_queue_are_lost_and_the_others_come_first() {
        let mut writer = writer(usize::MAX, LogFormat::Text);
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let fitting = super::super::lines::CAPACITY / line.len();
        for _ in 0..fitting + 5 {
            writer.lines.push(&line);
        }
        writer.log([]);
        let written = writer.written();
        assert_eq!(written.len(), fitting + 1);
        assert!(
            written[fitting].ends_with("lines=5"),
            "{}",
            written[fitting]
        );
    }

    #[test]
    fn flush_waits_for_what_was_logged_and_for_no_longer_than_it_is_told() {
        let writer = writer(usize::MAX, LogFormat::Text);
        let lines = writer.lines.clone();
        lines.push(b"stuck\n");
        // No thread writes yet.
        lines.flush(Duration::from_millis(1));
        let writing = std::thread::spawn(move || {
            let mut writer = writer;
            // One round serves the flush above, and one the flush below.
            while writer.out.text != b"stuck\nlast\n" {
                writer.round(Duration::from_secs(3600));
            }
        });
        lines.push(b"last\n");
        lines.flush(Duration::from_secs(3600));
        writing.join().unwrap();
    }

    #[test]
    fn call_site_that_repeats_itself_is_cut_short_and_told() {
        use tracing_subscriber::{layer::SubscriberExt, registry};

        use crate::telemetry::repeats::{LINES_IN_A_WINDOW, Limit};

        let mut writer = writer(usize::MAX, LogFormat::Json);
        let subscriber = registry().with(Limit(writer.repeats.clone())).with(
            tracing_subscriber::fmt::layer()
                .json()
                .with_writer(writer.lines.clone()),
        );
        let window = |writer: &mut Writer<Disk>| {
            writer.window_ends = Instant::now();
            writer.log([]);
            let lines = writer.written().into_iter();
            let lines = lines.map(|line| serde_json::from_str(line).unwrap());
            let lines: Vec<serde_json::Value> = lines.collect();
            writer.out.text.clear();
            lines
        };
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..2 {
                for nth in 0..1000 {
                    tracing::warn!(nth, "repeated");
                    tracing::debug!(nth, "asked for");
                }
                tracing::warn!("another");
                let lines = window(&mut writer);
                let of = |text: &str| {
                    let lines = lines.iter();
                    lines
                        .filter(|line| line["fields"]["message"] == text)
                        .count() as u64
                };
                assert_eq!(of("repeated"), LINES_IN_A_WINDOW);
                assert_eq!(of("asked for"), 1000);
                assert_eq!(of("another"), 1);
                let left_out: Vec<_> = lines.iter().filter(|line| line["times"].is_u64()).collect();
                assert_eq!(left_out.len(), 1, "{left_out:?}");
                assert_eq!(left_out[0]["times"], 1000 - LINES_IN_A_WINDOW);
                assert_eq!(left_out[0]["said_by"], module_path!());
            }
        });
    }
}
