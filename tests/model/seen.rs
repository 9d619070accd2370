//! How often each thing happened: a model that never gets there shows nothing.

/// What can happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Hit,
    NotFound,
    Expired,
    TooShort,
    Stored,
    MovedTier,
    CutToTier,
    Refused,
    Invalidated,
    Reclaimed,
    PushedOut,
}

#[derive(Default)]
pub(crate) struct Seen([u64; Event::ALL.len()]);

impl Event {
    const ALL: [Self; 11] = [
        Self::Hit,
        Self::NotFound,
        Self::Expired,
        Self::TooShort,
        Self::Stored,
        Self::MovedTier,
        Self::CutToTier,
        Self::Refused,
        Self::Invalidated,
        Self::Reclaimed,
        Self::PushedOut,
    ];
}

impl Seen {
    pub(crate) fn add(&mut self, event: Event, times: u64) {
        self.0[event as usize] += times;
    }

    pub(crate) fn assert_everything_happened(&self) {
        for event in Event::ALL {
            assert!(self.0[event as usize] > 0, "never happened: {event:?}");
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = Event::ALL.map(|event| format!("{event:?} {}", self.0[event as usize]));
        f.write_str(&counts.join(", "))
    }
}
