//! The server's wall clock, as far as the server's answers show it.
//!
//! The server counts a relative lifetime from the instant at which it reads the
//! request, so the lifetime would grow by the time that a Put is under way. With the
//! server's clock known, a Put can state its end instead.
//!
//! Guarantees that no end is stated too late, as long as the server's wall clock isn't
//! set back within [`TRUSTED`].

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use crate::clock::{self, BootInstant};

/// How long an answer is trusted: clocks drift, and are set.
const TRUSTED: Duration = Duration::from_secs(60);
/// The drift between two clocks: one part in this many, twice what NTP corrects at
/// most.
const DRIFT: u64 = 1_000;
/// By how much the instants in a server's answers may disagree, in nanoseconds.
const JITTER: i128 = 1_000_000;
/// The end in the answer to a Put may have been cut to a tier, and then says nothing of
/// the clock. An end that would put the server's clock further than this from this
/// machine's isn't trusted.
const PLAUSIBLE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<Bounds>>);

/// Bounds of the difference between the server's wall clock and this machine's boot
/// clock, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    least: i128,
    most: i128,
    taken: BootInstant,
}

impl ServerClock {
    /// The server's wall clock showed `shown` at some instant after `sent` and
    /// before `received`.
    pub(crate) fn showed(&self, shown: SystemTime, sent: BootInstant, received: BootInstant) {
        let Some(shown) = nanos(shown) else { return };
        let heard = Bounds {
            least: shown - JITTER - i128::from(received.nanos()),
            most: shown + JITTER - i128::from(sent.nanos()),
            taken: received,
        };
        let mut known = self.lock();
        *known = Some(match *known {
            Some(known) if !known.is_old(received) => known.narrowed(heard),
            _ => heard,
        });
    }

    /// Learns from a credential that was received just now, in answer to a request sent
    /// at `sent`: its end on the server's wall clock, and how long it lives from `sent`.
    pub(crate) fn received(&self, expires_at: SystemTime, ttl: Duration, sent: BootInstant) {
        if let Some(shown) = expires_at.checked_sub(ttl) {
            self.showed(shown, sent, BootInstant::now());
        }
    }

    /// Learns from a Put for `ttl` that was answered with this end.
    pub(crate) fn ended_at(
        &self,
        expires_at: SystemTime,
        ttl: Duration,
        sent: BootInstant,
        received: BootInstant,
    ) {
        let Some(shown) = expires_at.checked_sub(ttl) else {
            return;
        };
        let here = clock::wall_now();
        let ahead = shown.duration_since(here);
        let apart = ahead.unwrap_or_else(|behind| behind.duration());
        if apart <= PLAUSIBLE.saturating_add(received.since(sent)) {
            self.showed(shown, sent, received);
        }
    }

    /// The latest time that the server's wall clock certainly doesn't show before `at`;
    /// `None` while too little is known.
    pub(crate) fn earliest(&self, at: BootInstant) -> Option<SystemTime> {
        self.earliest_known(at, BootInstant::now())
    }

    fn earliest_known(&self, at: BootInstant, now: BootInstant) -> Option<SystemTime> {
        let known = (*self.lock()).filter(|known| !known.is_old(now))?;
        let drift = i128::from(u64::try_from(now.since(known.taken).as_nanos()).ok()? / DRIFT);
        let shown = i128::from(at.nanos()) + known.least - drift;
        let since_epoch = Duration::from_nanos(u64::try_from(shown).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since_epoch)
    }

    /// Discards what is known, because it was wrong.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    // Never held over an await.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Bounds>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bounds {
    fn is_old(&self, now: BootInstant) -> bool {
        now.since(self.taken) > TRUSTED
    }

    /// The intersection of both. Where they contradict each other, because a clock was
    /// set or another server answered, the earlier one counts.
    fn narrowed(self, heard: Self) -> Self {
        if heard.most < self.least {
            heard
        } else if self.most < heard.least {
            self
        } else if self.least >= heard.least {
            // A later answer doesn't renew the age of an earlier bound.
            Self {
                most: self.most.min(heard.most),
                ..self
            }
        } else {
            Self {
                most: self.most.min(heard.most),
                ..heard
            }
        }
    }
}

fn nanos(at: SystemTime) -> Option<i128> {
    let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i128::try_from(since_epoch.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn server(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// How far `shown` is from the time that it should be at the most.
    fn short_of(shown: Option<SystemTime>, expected: SystemTime) -> Duration {
        expected.duration_since(shown.unwrap()).unwrap()
    }

    #[test]
    fn end_is_stated_no_later_than_it_is() {
        let clock = ServerClock::default();
        let now = BootInstant::now().after(60 * SECOND);
        assert_eq!(clock.earliest(now), None);
        // Whether the answer or the question took the second isn't known.
        clock.showed(server(1_000), now.before(SECOND), now);
        let stated = clock.earliest_known(now.after(60 * SECOND), now);
        let short = short_of(stated, server(1_060));
        assert!(short < SECOND / 10, "{short:?}");
        // A quicker answer says more, a slower one nothing new.
        let quick = now.before(SECOND / 2);
        clock.showed(server(1_000), quick, quick.after(SECOND / 100));
        clock.showed(server(1_000), now.before(9 * SECOND), now);
        let stated = clock.earliest_known(now.after(60 * SECOND), now);
        let expected = server(1_060) + SECOND / 2 - SECOND / 100;
        assert!(short_of(stated, expected) < SECOND / 10);
    }

    #[test]
    fn of_two_that_contradict_each_other_the_earlier_counts() {
        let now = BootInstant::now();
        for shown in [[2_000, 1_000], [1_000, 2_000]] {
            let clock = ServerClock::default();
            for shown in shown {
                clock.showed(server(shown), now.before(SECOND), now);
            }
            let short = short_of(clock.earliest(now), server(1_000));
            assert!(short < SECOND, "{short:?}");
        }
    }

    #[test]
    fn what_is_old_is_not_believed() {
        let clock = ServerClock::default();
        let then = BootInstant::now();
        clock.showed(server(1_000), then, then);
        let later = then.after(TRUSTED + SECOND);
        assert!(clock.earliest_known(later, then.after(TRUSTED)).is_some());
        assert_eq!(clock.earliest_known(later, later), None);
        // It isn't held against what was heard since.
        clock.showed(server(3_000), later, later);
        let short = short_of(clock.earliest_known(later, later), server(3_000));
        assert!(short < SECOND, "{short:?}");
        clock.forget();
        assert_eq!(clock.earliest_known(later, later), None);
    }

    #[test]
    fn end_that_was_cut_to_a_tier_says_nothing() {
        let clock = ServerClock::default();
        let now = BootInstant::now();
        let here = clock::wall_now();
        clock.ended_at(here + 60 * SECOND, 3_600 * SECOND, now, now);
        assert_eq!(clock.earliest(now), None);
        clock.ended_at(here + 60 * SECOND, 60 * SECOND, now, now);
        assert!(clock.earliest(now).is_some());
    }
}
