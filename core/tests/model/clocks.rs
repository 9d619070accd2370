//! The two clocks as plain numbers.

use std::time::Duration;

use credcache_core::{BootTime, Now, WallTime};

pub(crate) const SECOND: u64 = 1_000_000_000;

/// Readings of both clocks, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) wall: u64,
    pub(crate) boot: u64,
}

impl Clocks {
    pub(crate) const START: Self = Self {
        wall: 1_700_000_000 * SECOND,
        boot: 1_000 * SECOND,
    };

    pub(crate) fn now(self) -> Now {
        Now {
            wall: wall(self.wall),
            boot: BootTime::from_boot(Duration::from_nanos(self.boot)),
        }
    }
}

pub(crate) fn wall(nanos: u64) -> WallTime {
    WallTime::from_unix(Duration::from_nanos(nanos))
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("within the model's range")
}
