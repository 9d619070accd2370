//! Instants on the two clocks that lifetimes are judged by, and deadlines made of them.
//!
//! The wall clock may step, and an issuer can't know the boot-time clock. So a deadline holds one
//! instant of each clock, and has passed as soon as either clock has reached it. Nothing here reads
//! a clock: the caller passes [`Now`] in.

use std::time::Duration;

/// An instant of the wall clock, in nanoseconds since the Unix epoch.
///
/// The type saturates in the year 2554. Every deadline is cut to its tier long before that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(u64);

/// An instant of the boot-time clock, which counts suspend and never steps, in nanoseconds since a
/// fixed point of this boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(u64);

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The reading of the wall clock.
    pub wall: WallTime,
    /// The reading of the boot-time clock.
    pub boot: BootTime,
}

/// The lifetime that a Put requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// A duration, from the instant of the Put.
    For(Duration),
    /// Up to this instant of the wall clock.
    Until(WallTime),
}

/// The end of a lifetime, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    wall: WallTime,
    boot: BootTime,
}

/// Differences up to this many nanoseconds are ignored, because the two clocks can't be read at
/// exactly the same instant.
const CLOCK_JITTER: u64 = 1_000_000;

impl WallTime {
    /// The instant this long after the Unix epoch.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        Self(nanos(since_epoch))
    }

    /// How long after the Unix epoch this instant is.
    #[must_use]
    pub fn since_unix(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }

    /// The instant this long before, or the epoch if that is later.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

impl BootTime {
    /// The instant this long after the clock's fixed point.
    #[must_use]
    pub fn from_boot(since_boot: Duration) -> Self {
        Self(nanos(since_boot))
    }

    /// How long after the clock's fixed point this instant is.
    #[must_use]
    pub fn since_boot(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

impl Lifetime {
    /// The remaining lifetime, or `None` if nothing remains.
    pub(crate) fn left(self, now: Now) -> Option<Duration> {
        let left = match self {
            Self::For(duration) => duration,
            Self::Until(wall) => now.wall.until(wall),
        };
        (!left.is_zero()).then_some(left)
    }
}

impl Deadline {
    /// Later than the deadline of any credential.
    pub(crate) const NEVER: Self = Self {
        wall: WallTime(u64::MAX),
        boot: BootTime(u64::MAX),
    };

    pub(crate) fn after(now: Now, lifetime: Duration) -> Self {
        Self {
            wall: now.wall.after(lifetime),
            boot: now.boot.after(lifetime),
        }
    }

    pub(crate) fn wall(self) -> WallTime {
        self.wall
    }

    /// The remaining time on the clock that is closer to the deadline. Returns `None` from the
    /// instant at which either clock reaches the deadline.
    #[inline]
    pub(crate) fn left(self, now: Now) -> Option<Duration> {
        let by_wall = self.wall.0.saturating_sub(now.wall.0);
        let left = by_wall.min(self.boot.0.saturating_sub(now.boot.0));
        (left > 0).then(|| Duration::from_nanos(left))
    }

    pub(crate) fn passed(self, now: Now) -> bool {
        self.left(now).is_none()
    }

    /// The deadline to report to a caller, on today's wall clock.
    ///
    /// After the wall clock stepped back, the stored instant would promise more than the remaining
    /// lifetime, so the reported instant is cut. Without a step, the stored instant itself is
    /// reported, so it doesn't vary from response to response.
    #[inline]
    pub(crate) fn reported_expiry(self, now: Now) -> WallTime {
        let left = self.boot.0.saturating_sub(now.boot.0);
        let by_left = now.wall.0.saturating_add(left);
        if by_left.saturating_add(CLOCK_JITTER) < self.wall.0 {
            WallTime(by_left)
        } else {
            self.wall
        }
    }

    /// Combines two deadlines: the earlier instant on each clock.
    pub(crate) fn earliest(self, other: Self) -> Self {
        Self {
            wall: self.wall.min(other.wall),
            boot: self.boot.min(other.boot),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_secs: u64, boot_secs: u64) -> Now {
        Now {
            wall: WallTime::from_unix(Duration::from_secs(wall_secs)),
            boot: BootTime::from_boot(Duration::from_secs(boot_secs)),
        }
    }

    #[test]
    fn deadline_has_passed_at_its_very_instant() {
        let deadline = Deadline::after(at(100, 10), Duration::from_secs(5));
        let nanosecond = Duration::from_nanos(1);
        let mut just_before = at(105, 15);
        just_before.wall = just_before.wall.before(nanosecond);
        just_before.boot = BootTime(just_before.boot.0 - 1);
        assert_eq!(deadline.left(just_before), Some(nanosecond));
        assert!(deadline.passed(at(105, 15)));
    }

    #[test]
    fn either_clock_alone_ends_a_lifetime() {
        let deadline = Deadline::after(at(100, 10), Duration::from_secs(5));
        assert!(deadline.passed(at(105, 10)), "wall stepped forwards");
        assert!(deadline.passed(at(90, 15)), "wall stepped backwards");
        assert!(!deadline.passed(at(104, 14)));
    }

    #[test]
    fn backward_step_cuts_the_told_deadline_and_jitter_does_not() {
        let set = at(10_000, 10);
        let deadline = Deadline::after(set, Duration::from_secs(60));
        assert_eq!(deadline.reported_expiry(set), deadline.wall);

        let stepped = at(6_400, 20);
        let left = deadline.left(stepped).expect("live");
        assert_eq!(left, Duration::from_secs(50));
        assert_eq!(deadline.reported_expiry(stepped), at(6_450, 0).wall);
    }

    #[test]
    fn far_away_instants_saturate_instead_of_wrapping() {
        let now = at(u64::MAX / 1_000_000_000, u64::MAX / 1_000_000_000);
        let deadline = Deadline::after(now, Duration::MAX);
        assert!(deadline.left(now).is_some());
        assert_eq!(
            Lifetime::Until(WallTime(u64::MAX))
                .left(now)
                .map(|d| d.as_secs()),
            Some(0)
        );
    }
}
