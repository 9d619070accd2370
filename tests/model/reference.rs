//! The naive reference: a map that is scanned for everything.

use std::{collections::BTreeMap, time::Duration};

use credcache::cache::{BootTime, Lifetime, MissReason, Now, Precondition, PutError, WallTime};

/// The tiers of every episode: name and longest lifetime.
pub(crate) const TIERS: [(&str, Duration); 3] = [
    ("10-seconds", Duration::from_secs(10)),
    ("5-minutes", Duration::from_secs(300)),
    ("2-hours", Duration::from_secs(7200)),
];

/// Both clocks, in nanoseconds, to calculate with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) wall: u64,
    pub(crate) boot: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) version: u64,
    pub(crate) value: Vec<u8>,
    pub(crate) tags: Vec<String>,
    pub(crate) tier: usize,
    pub(crate) lifetime: u64,
    pub(crate) wall_end: u64,
    pub(crate) boot_end: u64,
}

#[derive(Default)]
pub(crate) struct Reference {
    pub(crate) held: BTreeMap<(String, String), Held>,
    pub(crate) revision: u64,
}

pub(crate) enum Selection {
    Key(String),
    Prefix(String),
    Tag(String),
    All,
}

impl Clocks {
    pub(crate) fn now(self) -> Now {
        Now {
            wall: WallTime::from_unix(Duration::from_nanos(self.wall)),
            boot: BootTime::from_boot(Duration::from_nanos(self.boot)),
        }
    }
}

impl Held {
    pub(crate) fn left(&self, clocks: Clocks) -> u64 {
        let wall = self.wall_end.saturating_sub(clocks.wall);
        wall.min(self.boot_end.saturating_sub(clocks.boot))
    }

    pub(crate) fn is_live(&self, clocks: Clocks) -> bool {
        self.left(clocks) > 0
    }
}

impl Reference {
    pub(crate) fn get(
        &self,
        name: &(String, String),
        min_ttl: u64,
        clocks: Clocks,
    ) -> Result<&Held, MissReason> {
        match self.held.get(name) {
            None => Err(MissReason::NotFound),
            Some(held) if !held.is_live(clocks) => Err(MissReason::Expired),
            Some(held) if held.left(clocks) < min_ttl => Err(MissReason::TtlTooShort),
            Some(held) => Ok(held),
        }
    }

    /// The lifetime as it will be kept, in nanoseconds, and the tier.
    pub(crate) fn route(
        lifetime: Lifetime,
        tier: Option<usize>,
        clocks: Clocks,
    ) -> Option<(u64, usize)> {
        let asked = match lifetime {
            Lifetime::For(duration) => nanos(duration),
            Lifetime::Until(wall) => nanos(wall.since_unix()).saturating_sub(clocks.wall),
        };
        if asked == 0 {
            return None;
        }
        let covering = TIERS
            .iter()
            .position(|(_, max_ttl)| nanos(*max_ttl) >= asked);
        let tier = tier.or(covering).unwrap_or(TIERS.len() - 1);
        Some((asked.min(nanos(TIERS[tier].1)), tier))
    }

    pub(crate) fn check(
        &self,
        name: &(String, String),
        precondition: Option<Precondition>,
        clocks: Clocks,
    ) -> Result<(), PutError> {
        let live = self.held.get(name).filter(|held| held.is_live(clocks));
        match (precondition, live) {
            (Some(Precondition::Absent), Some(_)) => Err(PutError::Exists),
            (Some(Precondition::Version(version)), live)
                if live.is_none_or(|held| held.version != version.number()) =>
            {
                Err(PutError::VersionDiffers)
            }
            _ => Ok(()),
        }
    }

    /// Removes what matches; how many were live, and how many not.
    pub(crate) fn invalidate(
        &mut self,
        namespace: &str,
        selection: &Selection,
        if_version: Option<u64>,
        clocks: Clocks,
    ) -> (u64, u64) {
        let (mut live, mut ended) = (0, 0);
        self.held.retain(|(of, key), held| {
            let matches = of == namespace
                && match selection {
                    Selection::Key(sought) => {
                        key == sought && if_version.is_none_or(|v| v == held.version)
                    }
                    Selection::Prefix(prefix) => key.starts_with(prefix),
                    Selection::Tag(tag) => held.tags.contains(tag),
                    Selection::All => true,
                };
            if matches {
                *(if held.is_live(clocks) {
                    &mut live
                } else {
                    &mut ended
                }) += 1;
            }
            !matches
        });
        (live, ended)
    }

    /// Removes what has ended, and says how many that were.
    pub(crate) fn reclaim(&mut self, clocks: Clocks) -> u64 {
        let before = self.held.len();
        self.held.retain(|_, held| held.is_live(clocks));
        (before - self.held.len()) as u64
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("within the model's range")
}
