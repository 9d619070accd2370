//! The fetches under way in this process, so that of many callers who can't get
//! a lease, or can't reach the server, one fetches for all.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, time::Instant};

use crate::{Credential, judged::Unjudged};

/// More than these aren't kept: beyond, each caller fetches for itself.
const MOST: usize = 16 * 1024;

/// The fetches under way, and those that failed a moment ago.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Name, Seat>>);

type Name = (String, String);
/// What a follower waits for: `None` until the flight ends.
pub(super) type Seat = watch::Receiver<Option<Outcome>>;

/// How a flight ended, for those who only follow it.
#[derive(Clone)]
pub(super) enum Outcome {
    Ready(Unjudged<Arc<Credential>>),
    /// It failed: nobody fetches until then.
    Closed(Instant),
}

/// What one who would fetch may do.
pub(super) enum Part {
    /// Fetch for everybody.
    Lead(Entry),
    /// Wait for the one who does.
    Follow(Seat),
    /// Fetch for itself: there are too many.
    Alone,
}

impl Flights {
    pub(super) fn enter(self: &Arc<Self>, namespace: &str, key: &str) -> Part {
        let name = (namespace.to_owned(), key.to_owned());
        let mut seats = self.seats();
        if let Some(seat) = seats.get(&name) {
            return Part::Follow(seat.clone());
        }
        if seats.len() >= MOST {
            return Part::Alone;
        }
        let (sender, seat) = watch::channel(None);
        seats.insert(name.clone(), seat);
        Part::Lead(Entry {
            flights: Arc::clone(self),
            name,
            sender,
        })
    }

    // Never held over an await, nor while anything else runs.
    fn seats(&self) -> MutexGuard<'_, HashMap<Name, Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// The names are keys.
impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

/// The place of a fetch. Followers find it until it is dropped, and then know
/// that nothing comes any more.
pub(super) struct Entry {
    flights: Arc<Flights>,
    name: Name,
    sender: watch::Sender<Option<Outcome>>,
}

impl Entry {
    pub(super) fn tell(&self, outcome: Outcome) {
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.flights.seats().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leads_until_it_lets_go() {
        let flights = Arc::<Flights>::default();
        let Part::Lead(entry) = flights.enter("ab", "cd") else {
            panic!("the first leads")
        };
        assert!(matches!(flights.enter("ab", "cd"), Part::Follow(_)));
        assert!(matches!(flights.enter("a", "bcd"), Part::Lead(_)));
        drop(entry);
        assert!(matches!(flights.enter("ab", "cd"), Part::Lead(_)));
        assert!(flights.seats().is_empty());
    }

    #[test]
    fn number_is_bounded() {
        let flights = Arc::<Flights>::default();
        let entries: Vec<_> = (0..MOST)
            .map(|number| flights.enter("aws", &number.to_string()))
            .collect();
        assert!(matches!(flights.enter("aws", "one more"), Part::Alone));
        drop(entries);
        assert!(matches!(flights.enter("aws", "one more"), Part::Lead(_)));
    }

    #[tokio::test]
    async fn follower_learns_the_outcome_and_that_none_will_come() {
        let flights = Arc::<Flights>::default();
        for tells in [true, false] {
            let Part::Lead(entry) = flights.enter("aws", "reader") else {
                panic!("the last one let go")
            };
            let Part::Follow(mut seat) = flights.enter("aws", "reader") else {
                panic!("the second follows")
            };
            if tells {
                entry.tell(Outcome::Closed(Instant::now()));
            }
            drop(entry);
            let outcome = seat.wait_for(Option::is_some).await;
            assert_eq!(outcome.is_ok(), tells);
        }
    }
}
