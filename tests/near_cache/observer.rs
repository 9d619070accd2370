//! An observer that looks at every key of every near cache in a tight loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use credcache_client::NearCache;

use crate::{
    issuer::{Issuer, Place, now, number},
    mesh::Reader,
};

/// A revocation that took effect within this time of its answer came by an event. One that took
/// longer, with the link broken, came by the bound.
const SOON: Duration = Duration::from_millis(50);

/// The last observation of a near cache at one position.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// The credential, and when it was last requested and found.
    kept: Option<(u64, Duration)>,
    latest_version: u64,
}

/// A credential that was cached and isn't any more.
struct Gone {
    number: u64,
    last_hit: Duration,
    missed: Duration,
}

/// The results of the observation.
#[derive(Default)]
pub(crate) struct Seen {
    hits: u64,
    pub(crate) went_back: u64,
    /// By how much the latest hit of a revoked credential exceeded the bound.
    pub(crate) excess: Duration,
    /// The time from the answer to a revocation to the last hit, for each near cache that cached
    /// the credential then; shortest first.
    delays: Vec<Duration>,
    /// The number of delays of at most [`SOON`], and the number of others.
    soon: usize,
    late: usize,
}

pub(crate) struct Observer {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Observer {
    pub(crate) fn start(readers: &[Reader], issuer: &Arc<Issuer>) -> Self {
        let nears: Vec<_> = readers.iter().map(|reader| reader.near.clone()).collect();
        let done = Arc::<AtomicBool>::default();
        let (until, issuer) = (Arc::clone(&done), Arc::clone(issuer));
        let thread = thread::spawn(move || observe(&nears, &issuer, &until));
        Self { done, thread }
    }

    pub(crate) fn stop(self) -> Seen {
        self.done.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

fn observe(nears: &[NearCache], issuer: &Issuer, done: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut gone = Vec::new();
    let places: Vec<_> = Place::all().collect();
    let mut slots = vec![Slot::default(); nears.len() * places.len()];
    while !done.load(Ordering::SeqCst) {
        for (near, slots) in nears.iter().zip(slots.chunks_mut(places.len())) {
            for (place, slot) in places.iter().zip(slots) {
                look(near, *place, slot, issuer, &mut seen, &mut gone);
            }
            thread::yield_now();
        }
    }
    seen.judge(&gone, issuer);
    seen
}

fn look(
    near: &NearCache,
    place: Place,
    slot: &mut Slot,
    issuer: &Issuer,
    seen: &mut Seen,
    gone: &mut Vec<Gone>,
) {
    let begun = now();
    let found = near.cached(place.namespace(), place.key());
    let found = found.map(|credential| (number(&credential), credential.version));
    if let Some((number, last_hit)) = slot.kept
        && found.is_none_or(|(found, _)| found != number)
    {
        gone.push(Gone {
            number,
            last_hit,
            missed: begun,
        });
    }
    slot.kept = found.map(|(number, _)| (number, begun));
    if let Some((number, version)) = found {
        seen.hits += 1;
        seen.excess = seen.excess.max(issuer.excess(number, begun));
        seen.went_back += u64::from(version < slot.latest_version);
        slot.latest_version = version;
    }
}

impl Seen {
    fn judge(&mut self, gone: &[Gone], issuer: &Issuer) {
        for gone in gone {
            let Some(revoked) = issuer.revoked_at(gone.number) else {
                continue;
            };
            // The credential had gone earlier for another reason.
            if gone.missed + SOON < revoked {
                continue;
            }
            let delay = gone.last_hit.saturating_sub(revoked);
            self.delays.push(delay);
            if delay <= SOON {
                self.soon += 1;
            } else {
                self.late += 1;
            }
        }
        self.delays.sort_unstable();
    }

    fn percentile(&self, percent: usize) -> Duration {
        let last = self.delays.len().saturating_sub(1);
        let at = self.delays.get(last * percent / 100);
        at.copied().unwrap_or_default()
    }

    pub(crate) fn print(&self) {
        println!(
            "{} near hits; {} revocations of what a near cache kept: {} within {SOON:?}, {} later",
            self.hits,
            self.delays.len(),
            self.soon,
            self.late,
        );
        println!(
            "last hit after the answer: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}; past the bound {:?}",
            self.percentile(50),
            self.percentile(90),
            self.percentile(99),
            self.percentile(100),
            self.excess,
        );
    }

    /// Fails if too little happened for an error to be possible.
    pub(crate) fn assert_meaningful(&self) {
        assert!(self.hits > 100_000, "{} hits", self.hits);
        assert!(self.soon > 1_000, "{} told by events", self.soon);
        assert!(self.late > 100, "{} left to the bound", self.late);
        let longest = self.percentile(100);
        assert!(longest > crate::BOUND / 2, "{longest:?} is far from it");
    }
}
