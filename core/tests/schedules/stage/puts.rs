//! Puts with all kinds of conditions.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use credcache_core::{
    Attributes, Contents, Lifetime, Precondition, Put, PutError, Tag, Tags, Token, WallTime,
};
use credcache_history as history;
use history::Call;

use super::{At, LIMITS, Stage, TAG, name, named, nanos};

/// The conditions of a Put.
#[derive(Default)]
struct Condition {
    precondition: Option<Precondition>,
    issued_at: Option<WallTime>,
    lease: Option<Token>,
    refresh_before: Option<Duration>,
}

impl Stage {
    /// Stores a credential. Returns its version.
    pub(crate) fn put(&self, at: At, secs: u64) -> Option<u64> {
        self.put_if(at, secs, None)
    }

    /// Stores a credential that is due for refresh at once. Returns its version.
    pub(crate) fn put_due(&self, at: At, secs: u64) -> Option<u64> {
        let condition = Condition {
            refresh_before: Some(Duration::from_secs(secs)),
            ..Condition::default()
        };
        self.put_on(at, secs, condition)
    }

    /// Stores a credential on a condition. Returns its version, or `None` if the Put was refused.
    pub(crate) fn put_if(
        &self,
        at: At,
        secs: u64,
        precondition: Option<Precondition>,
    ) -> Option<u64> {
        let condition = Condition {
            precondition,
            ..Condition::default()
        };
        self.put_on(at, secs, condition)
    }

    /// Stores a credential under a lease. Returns its version, or `None` if the Put was refused.
    pub(crate) fn fill(&self, at: At, secs: u64, lease: Token) -> Option<u64> {
        let condition = Condition {
            lease: Some(lease),
            ..Condition::default()
        };
        self.put_on(at, secs, condition)
    }

    /// Stores a credential that was issued at this second. Returns its version, or `None` if the
    /// Put was refused.
    pub(crate) fn put_issued(&self, at: At, secs: u64, issued_secs: u64) -> Option<u64> {
        let condition = Condition {
            issued_at: Some(WallTime::from_unix(Duration::from_secs(issued_secs))),
            ..Condition::default()
        };
        self.put_on(at, secs, condition)
    }

    fn put_on(&self, at: At, secs: u64, condition: Condition) -> Option<u64> {
        let Condition {
            precondition,
            issued_at,
            lease,
            refresh_before,
        } = condition;
        self.recorded(|| {
            // A repeated fill must carry the same value.
            let value = match lease {
                Some(token) => format!("value of lease {:x?}", token.as_bytes()),
                None => format!("value {}", self.ticks.load(Relaxed)),
            };
            let value = value.into_bytes();
            let put = Put {
                name: name(at),
                contents: self.contents(&value),
                lifetime: Lifetime::For(Duration::from_secs(secs)),
                refresh_before,
                tier: None,
                issued_at,
                lease,
                precondition,
            };
            let outcome = match self.cache.put(put, self.now()) {
                Ok(stored) => Ok(history::Stored {
                    version: stored.version.number(),
                    expires_at: nanos(stored.expires_at),
                }),
                Err(PutError::Exists) => Err(history::Refusal::Exists),
                Err(PutError::VersionDiffers) => Err(history::Refusal::VersionDiffers),
                Err(PutError::LeaseLost(_)) => Err(history::Refusal::LeaseLost),
                Err(PutError::Revoked) => Err(history::Refusal::Revoked),
                // The refusal says nothing about the key.
                Err(PutError::TooManyNamespaces) => return (None, None),
                Err(refusal) => panic!("{refusal}"),
            };
            let put = history::Put {
                name: named(at),
                value,
                tags: vec![TAG.into()],
                lease: lease.map(|token| *token.as_bytes()),
                issued_at: issued_at.map(nanos),
                precondition: precondition.map(|precondition| match precondition {
                    Precondition::Absent => history::Precondition::Absent,
                    Precondition::Version(version) => {
                        history::Precondition::Version(version.number())
                    }
                }),
                outcome,
            };
            let version = outcome.ok().map(|stored| stored.version);
            (version, Some(Call::Put(put)))
        })
    }

    fn contents(&self, value: &[u8]) -> Contents {
        let names: Vec<String> = (0..16).map(|nth| nth.to_string()).collect();
        let ballast = names.iter().map(|name| (&**name, &*self.ballast));
        let attributes = match self.ballast.is_empty() {
            true => Attributes::default(),
            false => Attributes::new(ballast).unwrap(),
        };
        Contents {
            value: LIMITS.value(value).unwrap(),
            tags: Tags::new([Tag::parse(TAG).unwrap()]).unwrap(),
            attributes,
        }
    }
}
