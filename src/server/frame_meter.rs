//! Counts the frames that a peer sends beside its calls: SETTINGS, PING,
//! PRIORITY, WINDOW_UPDATE, resets, empty DATA and whatever HTTP/2 ignores.
//!
//! h2 answers or skips such frames without a limit, so a peer that sends nothing
//! else can keep a core busy. Each of them takes credit. Calls, bytes that the peer
//! accepts, and time give credit, so that no honest peer runs out of it.

use tokio::time::Instant;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
/// Of SETTINGS and PING, which the peer must answer if it isn't set.
const ACK: u8 = 1;
/// Of DATA.
const END_STREAM: u8 = 1;

/// The most credit that a peer can save, and the credit of a new connection. A
/// peer that was stopped for a second sends what it had to send at once: a
/// thousand resets, and a few PINGs and WINDOW_UPDATEs for each call.
const MAX_CREDIT: u32 = 20_000;
/// The credit that a second gives. An honest peer that only waits sends fewer
/// than ten frames in that time.
const CREDIT_PER_SECOND: u32 = 500;
/// The credit of a call. gRPC clients send at most two WINDOW_UPDATEs and a PING
/// for each, and may reset it.
const CREDIT_OF_CALL: u32 = 12;
/// For this many bytes that a peer accepts it may send one more frame: clients
/// send a WINDOW_UPDATE for each DATA frame they receive, if they send many.
const BYTES_PER_CREDIT: usize = 256;

/// Frames with a price, and the credit for them.
#[derive(Debug)]
pub(super) struct FrameMeter {
    credit: u32,
    /// When time last gave credit; none before the credit first ran out.
    credited: Instant,
    /// Bytes that haven't given credit.
    accepted: usize,
    is_exhausted: bool,
}

impl FrameMeter {
    pub(super) fn new() -> Self {
        Self {
            credit: MAX_CREDIT,
            credited: Instant::now(),
            accepted: 0,
            is_exhausted: false,
        }
    }

    /// Whether the peer has sent more frames than an honest one would.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    /// Counts a frame that the peer sent, by its type, its flags and its length.
    pub(super) fn count(&mut self, kind: u8, flags: u8, len: usize) {
        let price = match kind {
            HEADERS => {
                self.give(CREDIT_OF_CALL);
                return;
            }
            DATA if len > 0 || flags & END_STREAM != 0 => return,
            // h2 bounds them, each in its own way.
            CONTINUATION => return,
            SETTINGS | PING if flags & ACK == 0 => 4,
            SETTINGS | PING | RST_STREAM => 2,
            _ => 1,
        };
        if self.credit < price {
            self.refill(Instant::now());
        }
        match self.credit.checked_sub(price) {
            Some(left) => self.credit = left,
            None => self.is_exhausted = true,
        }
    }

    /// Counts bytes that the peer accepted.
    pub(super) fn accepted(&mut self, bytes: usize) {
        let bytes = self.accepted + bytes;
        self.accepted = bytes % BYTES_PER_CREDIT;
        let credit = bytes / BYTES_PER_CREDIT;
        self.give(u32::try_from(credit).unwrap_or(MAX_CREDIT));
    }

    fn give(&mut self, credit: u32) {
        self.credit = self.credit.saturating_add(credit).min(MAX_CREDIT);
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.credited);
        let credit = (elapsed * CREDIT_PER_SECOND).as_secs();
        if credit > 0 {
            self.credited = now;
            self.give(u32::try_from(credit).unwrap_or(MAX_CREDIT));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PRIORITY: u8 = 2;
    const WINDOW_UPDATE: u8 = 8;
    const UNKNOWN: u8 = 0x99;

    /// How many frames of a kind are let through.
    fn let_through(kind: u8, flags: u8, len: usize) -> u32 {
        let mut meter = FrameMeter::new();
        let mut count = 0;
        while !meter.is_exhausted() {
            assert!(count < 10 * MAX_CREDIT, "no end");
            meter.count(kind, flags, len);
            count += 1;
        }
        count
    }

    #[test]
    fn frames_that_cost_and_bring_nothing_have_an_end() {
        for kind in [PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, UNKNOWN] {
            assert!(let_through(kind, 0, 8) > 1000, "{kind}");
        }
        assert!(let_through(PING, ACK, 8) > 1000);
        assert!(let_through(DATA, 0, 0) > 1000);
    }

    #[test]
    fn calls_of_a_chatty_client_go_on_for_ever() {
        let mut meter = FrameMeter::new();
        for _ in 0..1_000_000 {
            meter.count(HEADERS, 4, 100);
            meter.count(DATA, 1, 50);
            meter.count(WINDOW_UPDATE, 0, 4);
            meter.count(WINDOW_UPDATE, 0, 4);
            meter.count(PING, 0, 8);
            meter.count(PING, ACK, 8);
            meter.count(RST_STREAM, 0, 4);
        }
        assert!(!meter.is_exhausted());
    }

    #[test]
    fn reader_of_a_long_stream_may_open_its_window_for_each_piece() {
        let mut meter = FrameMeter::new();
        for _ in 0..1_000_000 {
            meter.accepted(300);
            meter.count(WINDOW_UPDATE, 0, 4);
        }
        assert!(!meter.is_exhausted());
    }

    #[test]
    fn time_gives_credit_at_its_rate() {
        let mut meter = FrameMeter::new();
        meter.credit = 0;
        let begun = meter.credited;
        meter.refill(begun + Duration::from_secs(2));
        assert_eq!(meter.credit, 2 * CREDIT_PER_SECOND);
        meter.refill(meter.credited + Duration::from_micros(1));
        assert_eq!(meter.credit, 2 * CREDIT_PER_SECOND);
        meter.refill(begun + Duration::from_secs(3600));
        assert_eq!(meter.credit, MAX_CREDIT);
    }
}
