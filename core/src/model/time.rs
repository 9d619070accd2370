//! Instants on the two clocks that a lifetime is judged by, and deadlines made
//! of them.
//!
//! The wall clock may step and the boot-time clock may not be known to an
//! issuer, so a deadline holds one instant of each and has passed as soon as
//! either has. Nothing here reads a clock: [`Now`] is handed in.

use std::time::Duration;

/// An instant of the wall clock, in nanoseconds since the Unix epoch.
///
/// Saturates at the year 2554; every deadline is cut to its tier long before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(u64);

/// An instant of a clock that counts suspend and never steps, in nanoseconds
/// since some fixed point of this boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(u64);

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What the wall clock says.
    pub wall: WallTime,
    /// What the boot-time clock says.
    pub boot: BootTime,
}

/// How long a credential is to live, as a Put states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// This long from the instant of the Put.
    For(Duration),
    /// Until this instant of the wall clock.
    Until(WallTime),
}

/// The end of a lifetime, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    wall: WallTime,
    boot: BootTime,
}

/// Two readings of the clocks are not taken at one instant; below this they
/// still agree. In nanoseconds.
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

    /// This long earlier, or the epoch.
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
    /// What is left of it, or `None` if that is nothing.
    pub(crate) fn left(self, now: Now) -> Option<Duration> {
        let left = match self {
            Self::For(duration) => duration,
            Self::Until(wall) => now.wall.until(wall),
        };
        (!left.is_zero()).then_some(left)
    }
}

impl Deadline {
    /// Later than any that a credential has.
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

    /// What is left on the clock that is further ahead; `None` from the very
    /// instant on at which either reaches the deadline.
    #[inline]
    pub(crate) fn left(self, now: Now) -> Option<Duration> {
        let by_wall = self.wall.0.saturating_sub(now.wall.0);
        let left = by_wall.min(self.boot.0.saturating_sub(now.boot.0));
        (left > 0).then(|| Duration::from_nanos(left))
    }

    pub(crate) fn passed(self, now: Now) -> bool {
        self.left(now).is_none()
    }

    /// The deadline to tell a caller, by today's wall clock.
    ///
    /// After a step backwards the stored instant would promise more than is
    /// left, so the promise is cut; without a step it is the stored instant
    /// itself and doesn't tremble from answer to answer.
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

    /// The earlier of both on either clock.
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
