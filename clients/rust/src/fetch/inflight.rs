//! The fetches in flight in this process, so that of many callers who can't get a
//! lease, or can't reach the server, one fetches for all.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::{judged::SharedCredential, name::Name};

/// The most fetches that are listed: beyond them, each caller fetches for itself.
const MAX_FETCHES: usize = 16 * 1024;

/// The fetches in flight, and those that failed a moment ago.
#[derive(Default)]
pub(crate) struct InflightFetches(Mutex<HashMap<Name, FetchReceiver>>);

/// What a follower waits for: `None` until the fetch ends.
pub(super) type FetchReceiver = watch::Receiver<Option<FetchResult>>;
/// The result of a fetch, for its followers.
pub(super) type FetchResult = Result<SharedCredential, CoolDown>;

/// After a fetch that failed: the time in which nobody fetches.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoolDown {
    until: Instant,
}

impl CoolDown {
    pub(super) fn until(until: Instant) -> Self {
        Self { until }
    }

    pub(super) fn left(self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

/// The role of a caller who would fetch.
pub(super) enum Role {
    /// Fetches for every caller of this process.
    Leader(LeaderEntry),
    /// Waits for the leader's fetch.
    Follower(FetchReceiver),
    /// Fetches for itself: too many fetches are listed.
    Alone,
}

impl InflightFetches {
    pub(super) fn join(self: &Arc<Self>, namespace: &str, key: &str) -> Role {
        let name = (namespace.to_owned(), key.to_owned());
        let mut receivers = self.receivers();
        if let Some(receiver) = receivers.get(&name) {
            return Role::Follower(receiver.clone());
        }
        if receivers.len() >= MAX_FETCHES {
            return Role::Alone;
        }
        let (sender, receiver) = watch::channel(None);
        receivers.insert(name.clone(), receiver);
        Role::Leader(LeaderEntry {
            inflight: Arc::clone(self),
            name,
            sender,
        })
    }

    // Never held over an await, nor while anything else runs.
    fn receivers(&self) -> MutexGuard<'_, HashMap<Name, FetchReceiver>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// The names are keys.
impl fmt::Debug for InflightFetches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InflightFetches").finish_non_exhaustive()
    }
}

/// The entry of a leader's fetch. Followers find it until it is dropped; those that
/// still wait then learn that no result comes.
pub(super) struct LeaderEntry {
    inflight: Arc<InflightFetches>,
    name: Name,
    sender: watch::Sender<Option<FetchResult>>,
}

impl LeaderEntry {
    pub(super) fn publish(&self, result: FetchResult) {
        self.sender.send_replace(Some(result));
    }
}

impl Drop for LeaderEntry {
    fn drop(&mut self) {
        self.inflight.receivers().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leads_until_it_lets_go() {
        let inflight = Arc::<InflightFetches>::default();
        let Role::Leader(entry) = inflight.join("ab", "cd") else {
            panic!("the first leads")
        };
        assert!(matches!(inflight.join("ab", "cd"), Role::Follower(_)));
        assert!(matches!(inflight.join("a", "bcd"), Role::Leader(_)));
        drop(entry);
        assert!(matches!(inflight.join("ab", "cd"), Role::Leader(_)));
        assert!(inflight.receivers().is_empty());
    }

    #[test]
    fn number_is_bounded() {
        let inflight = Arc::<InflightFetches>::default();
        let entries: Vec<_> = (0..MAX_FETCHES)
            .map(|number| inflight.join("aws", &number.to_string()))
            .collect();
        assert!(matches!(inflight.join("aws", "one more"), Role::Alone));
        drop(entries);
        assert!(matches!(inflight.join("aws", "one more"), Role::Leader(_)));
    }

    #[tokio::test]
    async fn follower_learns_the_outcome_and_that_none_will_come() {
        let inflight = Arc::<InflightFetches>::default();
        for tells in [true, false] {
            let Role::Leader(entry) = inflight.join("aws", "reader") else {
                panic!("the last one let go")
            };
            let Role::Follower(mut receiver) = inflight.join("aws", "reader") else {
                panic!("the second follows")
            };
            if tells {
                entry.publish(Err(CoolDown::until(Instant::now())));
            }
            drop(entry);
            let result = receiver.wait_for(Option::is_some).await;
            assert_eq!(result.is_ok(), tells);
        }
    }
}
