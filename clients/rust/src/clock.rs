//! The crate's only reader of clocks.
//!
//! Lifetimes are counted on a clock that goes on while the machine sleeps,
//! where there is one: otherwise a laptop or a paused virtual machine would
//! wake up believing that its credentials are still good.

use std::time::{Duration, SystemTime};

/// The clock that counts sleep too.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SLEEPLESS: rustix::time::ClockId = rustix::time::ClockId::Boottime;
// Apple's does, unlike Linux's of that name, and unlike the one that std reads.
#[cfg(target_vendor = "apple")]
const SLEEPLESS: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// An instant of this machine, comparable within this process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
// In nanoseconds, of which 64 bits last for centuries.
pub(crate) struct BootInstant(u64);

impl BootInstant {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub(crate) fn now() -> Self {
        let now = rustix::time::clock_gettime(SLEEPLESS);
        // The kernel never answers a negative time since boot. If it did, no
        // lifetime would have anything left: the safe way to be wrong.
        let nanos = u64::try_from(now.tv_sec).ok().and_then(|seconds| {
            let nanos = u64::try_from(now.tv_nsec).ok()?;
            seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
        });
        Self(nanos.unwrap_or(u64::MAX))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    #[allow(
        clippy::disallowed_methods,
        reason = "this file is the reader of clocks"
    )]
    pub(crate) fn now() -> Self {
        static ORIGIN: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        Self(nanos(ORIGIN.elapsed()))
    }

    /// The instant `span` later, or the last one there is.
    pub(crate) fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// The instant `span` earlier, or the first one there is.
    pub(crate) fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// For an atomic.
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// The instant of [`nanos`](Self::nanos).
    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// How long after `earlier` this is; zero if it isn't.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The wall clock, for times that others stated on theirs.
#[allow(
    clippy::disallowed_methods,
    reason = "this file is the reader of clocks"
)]
pub(crate) fn wall_now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_forward_and_saturates() {
        let first = BootInstant::now();
        let second = BootInstant::now();
        assert!(second >= first);
        assert_eq!(
            first.since(first.after(Duration::from_secs(1))),
            Duration::ZERO
        );
        assert_eq!(
            first.after(Duration::from_secs(1)).since(first),
            Duration::from_secs(1)
        );
        assert!(first.after(Duration::MAX) > second);
    }
}
