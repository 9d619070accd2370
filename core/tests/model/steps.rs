//! One episode: random steps, and the checks after each step.

mod batch;
mod get;
mod invalidate;
mod lease;
mod lookup;
mod put;
mod time;
mod waiting;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Wake,
};

use credcache_core::{Cache, Count, Token};
use fastrand::Rng;

use crate::{
    clocks::Clocks,
    draw::Draw,
    figures::Figures,
    names::Name,
    reference::{Grant, Reference},
    seen::{Event, Seen},
    shape::Shape,
};
use waiting::Parked;
use watch::{Left, Watching};

struct Episode<'a> {
    cache: &'a Arc<Cache>,
    shape: &'a Shape,
    seen: &'a mut Seen,
    reference: Reference,
    clocks: Clocks,
    draw: Draw,
    /// The figures after the last step.
    figures: Figures,
    /// How many evictions the reference has taken into account.
    accounted: u64,
    /// How many credentials other operations removed on behalf of the invalidation in progress.
    claimed: u64,
    /// Tokens of leases that have ended or will end soon.
    tokens: Vec<(Name, Token)>,
    /// By the numbers that the reference assigned.
    parked: BTreeMap<u64, Parked<'a>>,
    watching: Vec<Watching>,
    /// Watchers that were dropped.
    left: Vec<Left>,
}

/// How often a task was woken.
#[derive(Default)]
struct Woke(AtomicU64);

/// Reports the current step if a check fails.
struct Place<'a> {
    seed: u64,
    step: u64,
    shape: &'a Shape,
}

/// Drives a new cache for this many steps.
pub(crate) fn run(seed: u64, steps: u64, seen: &mut Seen) {
    let mut rng = Rng::with_seed(seed);
    let shape = &Shape::draw(&mut rng);
    let mut place = Place {
        seed,
        step: 0,
        shape,
    };
    let cache = &shape.cache();
    let mut episode = Episode {
        cache,
        shape,
        seen,
        reference: Reference::new(shape),
        clocks: Clocks::START,
        draw: Draw::new(rng, shape.roomy),
        figures: Figures::of(cache),
        accounted: 0,
        claimed: 0,
        tokens: Vec::new(),
        parked: BTreeMap::new(),
        watching: Vec::new(),
        left: Vec::new(),
    };
    for step in 0..steps {
        place.step = step;
        episode.step();
        episode.check();
    }
    episode.end();
}

impl Episode<'_> {
    fn step(&mut self) {
        match self.draw.rng.u32(0..200) {
            0..56 => self.put(),
            56..74 => self.fill(),
            74..88 => self.get(),
            88..91 => self.get_several(),
            91..94 => self.read_several(),
            94..104 => self.hit(),
            104..108 => self.get_as_holder(),
            108..150 => self.ask(),
            150..152 => self.abandon(),
            152..158 => self.extend(),
            158..163 if self.draw.once_in(self.shape.revoking) => self.invalidate(),
            158..163 => self.put(),
            163..167 => self.meet_waiter(),
            167..174 => self.meet_watcher(),
            174..196 => self.pass_time(),
            _ if self.shape.fine_steps => self.get(),
            _ => self.reclaim(),
        }
    }

    fn check(&mut self) {
        self.check_figures();
        self.check_watchers_are_woken();
    }

    /// The checks that hold during an invalidation, too.
    fn check_figures(&mut self) {
        let figures = Figures::of(self.cache);
        let missing = self.reference.held.len() as u64 - figures.entries;
        assert_eq!(missing, figures.evictions - self.accounted, "missing");
        assert_eq!(self.cache.revision(), self.reference.revision);
        assert_eq!(figures.hits, self.reference.hits, "hits by tier");
        self.reference.counted.assert_same(&figures);
        assert!(
            !self.shape.roomy || figures.evictions == 0,
            "evicted from a roomy cache"
        );
        self.figures = figures;
    }

    /// Checks that dropped waiters and watchers leave nothing behind.
    fn end(mut self) {
        for id in self.parked.keys().copied().collect::<Vec<_>>() {
            self.cancel(id);
        }
        self.watching.clear();
        self.check();
        assert_eq!(self.figures.count(Count::Waiting), 0);
        let evicted = self.figures.evictions;
        self.seen.add_times(Event::Evicted, evicted);
    }

    /// Takes evictions of entries that the reference held into account.
    fn account_evictions(&mut self, evicted: u64) {
        assert!(!self.shape.roomy || evicted == 0, "lost from a roomy cache");
        self.accounted += evicted;
    }

    /// The cache doesn't hold a credential that the reference holds, so the cache must have evicted
    /// it.
    fn account_missing(&mut self, name: Name) {
        self.reference.held.remove(&name).expect("it was held");
        self.account_evictions(1);
    }

    /// The terms of a lease that is granted now.
    fn grant(&self) -> Grant {
        Grant {
            granted: self.reference.revision,
            boot: self.clocks.boot,
            ttl: self.shape.limits.lease_ttl,
        }
    }

    /// A name, most often one with a lease or in a cool-down.
    fn leased_name(&mut self) -> Name {
        let leases = &self.reference.leases;
        match self.draw.one_of(leases.by_name.keys()) {
            Some(name) if !self.draw.once_in(4) => name,
            _ => self.draw.name(),
        }
    }

    /// A name, most often one with a lease, or with a remembered lease or fill.
    fn held_name(&mut self) -> Name {
        let leases = &self.reference.leases;
        let name = match self.draw.rng.u8(0..8) {
            0..2 => self.draw.one_of(leases.lapsed.by_name.keys()),
            2 => self.draw.one_of(leases.fills.by_name.keys()),
            _ => None,
        };
        name.unwrap_or_else(|| self.leased_name())
    }
}

impl Woke {
    fn times(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Wake for Woke {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, step, shape } = self;
            eprintln!("in step {step} of seed {seed}: {shape:?}");
        }
    }
}
