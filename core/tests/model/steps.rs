//! One episode: random steps, and what must hold after each.

mod batch;
mod get;
mod invalidate;
mod lease;
mod look;
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
    /// As they stood after the last step.
    figures: Figures,
    /// Pushed out by the cache, and found to be so.
    noticed: u64,
    /// Removed by others on behalf of the invalidation under way.
    claimed: u64,
    /// Tokens of leases that are over, or soon will be.
    tokens: Vec<(Name, Token)>,
    /// By what the reference calls them.
    parked: BTreeMap<u64, Parked<'a>>,
    watching: Vec<Watching>,
    /// Watchers that went away.
    left: Vec<Left>,
}

/// How often a task was woken.
#[derive(Default)]
struct Woke(AtomicU64);

/// Says where it was, should a step fail.
struct Place<'a> {
    seed: u64,
    step: u64,
    shape: &'a Shape,
}

/// Drives a fresh cache for so many steps.
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
        noticed: 0,
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

    /// What holds while an invalidation is under way, too.
    fn check_figures(&mut self) {
        let figures = Figures::of(self.cache);
        let missing = self.reference.held.len() as u64 - figures.entries;
        assert_eq!(missing, figures.evictions - self.noticed, "missing");
        assert_eq!(self.cache.revision(), self.reference.revision);
        assert_eq!(figures.hits, self.reference.hits, "hits by tier");
        self.reference.counted.assert_same(&figures);
        assert!(
            !self.shape.roomy || figures.evictions == 0,
            "pushed out of a roomy cache"
        );
        self.figures = figures;
    }

    /// Nothing is left behind by those who go away.
    fn end(mut self) {
        for id in self.parked.keys().copied().collect::<Vec<_>>() {
            self.cancel(id);
        }
        self.watching.clear();
        self.check();
        assert_eq!(self.figures.count(Count::Waiting), 0);
        let pushed_out = self.figures.evictions;
        self.seen.add_times(Event::PushedOut, pushed_out);
    }

    /// So many entries that the reference holds were pushed out.
    fn notice(&mut self, pushed_out: u64) {
        assert!(
            !self.shape.roomy || pushed_out == 0,
            "lost from a roomy cache"
        );
        self.noticed += pushed_out;
    }

    /// The cache doesn't hold what the reference does.
    fn notice_missing(&mut self, name: Name) {
        self.reference.held.remove(&name).expect("it was held");
        self.notice(1);
    }

    /// What a lease that is granted now is like.
    fn grant(&self) -> Grant {
        Grant {
            granted: self.reference.revision,
            boot: self.clocks.boot,
            ttl: self.shape.limits.lease_ttl,
        }
    }

    /// A name, most often one with a lease or a gate.
    fn leased_name(&mut self) -> Name {
        let flights = &self.reference.flights;
        match self.draw.one_of(flights.by_name.keys()) {
            Some(name) if !self.draw.once_in(4) => name,
            _ => self.draw.name(),
        }
    }

    /// A name, most often one with a lease, or of which one is remembered that is
    /// over.
    fn held_name(&mut self) -> Name {
        let flights = &self.reference.flights;
        let name = match self.draw.rng.u8(0..8) {
            0..2 => self.draw.one_of(flights.lapsed.by_name.keys()),
            2 => self.draw.one_of(flights.fills.by_name.keys()),
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
