//! The only reader of clocks. All other code is passed a [`Now`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

use credcache_core::{BootTime, Now, WallTime};

/// The source of the time: the system's clocks, or a clock that a test sets.
#[derive(Debug)]
pub enum Clock {
    /// The system's clocks.
    System,
    /// A clock that stands still until a test sets it.
    Manual(Arc<ManualClock>),
}

/// A clock that stands still until it is set. Everything that shares the clock can set it.
#[derive(Debug)]
pub struct ManualClock(Mutex<Now>);

/// The boot-time clock, which counts suspend. On Apple systems, the monotonic clock does.
#[cfg(not(target_vendor = "apple"))]
const BOOT: ClockId = ClockId::Boottime;
#[cfg(target_vendor = "apple")]
const BOOT: ClockId = ClockId::Monotonic;

impl Clock {
    /// Reads both clocks.
    #[inline]
    pub fn now(&self) -> Now {
        match self {
            Self::System => system(),
            Self::Manual(clock) => clock.now(),
        }
    }
}

impl ManualClock {
    /// Creates a clock that stands at `now`.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self(Mutex::new(now))
    }

    /// Sets the time.
    pub fn set(&self, to: Now) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn system() -> Now {
    let boot = clock_gettime(BOOT);
    Now {
        // A wall clock before 1970 reads as 1970: every deadline is on the boot-time clock as well.
        wall: WallTime::from_unix(wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default()),
        boot: BootTime::from_boot(Duration::new(
            u64::try_from(boot.tv_sec).unwrap_or_default(),
            u32::try_from(boot.tv_nsec).unwrap_or_default(),
        )),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_of_the_system_run() {
        let earlier = Clock::System.now();
        let later = Clock::System.now();
        assert!(earlier.wall.since_unix() > Duration::from_secs(1_700_000_000));
        assert!(earlier.boot > BootTime::default());
        assert!(later.boot >= earlier.boot);
    }

    #[test]
    fn manual_clock_stands_still() {
        let hand = Arc::new(ManualClock::new(Now::default()));
        let clock = Clock::Manual(Arc::clone(&hand));
        assert_eq!(clock.now(), Now::default());
        let to = Now {
            wall: WallTime::from_unix(Duration::from_secs(1)),
            ..Now::default()
        };
        hand.set(to);
        assert_eq!(clock.now(), to);
    }
}
