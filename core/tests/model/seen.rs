//! How often each event happened. A model in which an event never happens proves nothing about it.

macro_rules! events {
    ($($event:ident),* $(,)?) => {
        /// The events that can happen.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Event {
            $($event),*
        }

        impl Event {
            const ALL: &[Self] = &[$(Self::$event),*];
        }
    };
}

events! {
    // Lookups.
    Hit, HitDue, NotFound, Expired, Revoked, TooShort, Pending, CoolingDown,
    ReadInPlace, ReadAgain, ClockStepped,
    // Puts.
    Stored, ReplacedExpired, MovedTier, CutToTier, NoLifetime, Exists, VersionDiffers, LeaseLost,
    RefusedByGrant, RefusedByIssue, RefusedTooMuch, RefusedByAge,
    // Leases.
    Granted, GrantedOnHit, TooManyLeases, Filled, FilledLate, FilledAgain, Superseded,
    Abandoned, AbandonRefused, Extended, ExtendedToTheEnd, LastsLonger, Revived,
    ExtensionRefused, ExtensionRevoked, ExtendedTooLate, LapsedForgotten, FillForgotten,
    RanOut, RanOutByReclaim, LostToInvalidation, LostInPut, CoolDownEnded,
    // Waiters.
    Waits, NoRoomToWait, Promoted, NotifiedAgain, Woken, CancelledBefore,
    CancelledGranted, CancelledAgain,
    // Watchers.
    WatchedFromNow, TooManyWatchers, Received, Gap, Drained, WatcherWoken, Resumed,
    ResumedWithGap, Elsewhere, JournalForgotten,
    // Everything else.
    Invalidated, Claimed, VersionNotHeld, FenceForgotten, Reclaimed, Evicted,
}

pub(crate) struct Seen(Vec<u64>);

impl Default for Seen {
    fn default() -> Self {
        Self(vec![0; Event::ALL.len()])
    }
}

impl Seen {
    pub(crate) fn add(&mut self, event: Event) {
        self.add_times(event, 1);
    }

    pub(crate) fn add_times(&mut self, event: Event, times: u64) {
        self.0[event as usize] += times;
    }

    pub(crate) fn assert_everything_happened(&self) {
        for event in Event::ALL {
            assert!(self.0[*event as usize] > 0, "never happened: {event:?}");
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = Event::ALL.iter();
        let counts = counts.map(|event| format!("{event:?} {}", self.0[*event as usize]));
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}
