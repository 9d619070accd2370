//! Time passing, and what is over being taken back.

use super::{Episode, invalidate::MOST_STEPS};
use crate::{clocks::SECOND, reference::Reference, seen::Event};

impl Episode<'_> {
    pub(super) fn reclaim(&mut self) {
        let mut reclaim = self.cache.begin_reclaim(self.clocks.now());
        let reclaimed = (0..MOST_STEPS).find_map(|_| reclaim.step());
        let reclaimed = reclaimed.expect("reclaiming comes to an end");
        let ended = self.reference.reclaim(self.clocks);
        assert!(reclaimed <= ended, "reclaimed a live credential");
        self.notice(ended - reclaimed);
        self.seen.add_times(Event::Reclaimed, reclaimed);

        let grant = self.grant();
        let boot = self.clocks.boot;
        let Reference {
            fences,
            flights,
            journals,
            counted,
            ..
        } = &mut self.reference;
        let before = counted.count(credcache_core::Count::LeasesExpired);
        flights.end_due(boot, grant, counted);
        let after = counted.count(credcache_core::Count::LeasesExpired);
        self.seen.add_times(Event::RanOutByReclaim, after - before);
        self.seen
            .add_times(Event::FenceForgotten, fences.forget(boot));
        self.seen
            .add_times(Event::JournalForgotten, journals.forget(boot));
    }

    /// Lets time pass in one of the ways it does, often to the very edge of
    /// something.
    pub(super) fn pass_time(&mut self) {
        let length = self.draw.length();
        let step = if self.shape.fine_steps {
            length
        } else {
            length / SECOND * SECOND
        };
        let way = match self.draw.once_in(self.shape.leap) {
            true => self.draw.rng.u8(0..12),
            false => self.draw.rng.u8(0..8),
        };
        match way {
            0 => self.clocks.wall += step,
            1 => self.clocks.wall -= step,
            2..8 => self.pass(length / 4096),
            8..10 => {
                let name = self.draw.name();
                let held = self.reference.held.get(&name);
                let left = held.map(|held| held.left(self.clocks));
                self.pass_to_edge(left);
            }
            10 => {
                let edge = self.edge_of_a_lease();
                self.pass_to(edge);
            }
            _ => self.outlive_a_revocation(),
        }
    }

    pub(super) fn pass_a_little(&mut self) {
        let length = self.draw.length();
        self.pass(length / 4096);
    }

    /// When a lease or a gate is over, or what is remembered of one that was.
    fn edge_of_a_lease(&mut self) -> Option<u64> {
        let name = self.held_name();
        let flights = &self.reference.flights;
        let flight = flights.by_name.get(&name);
        let edges = [
            flight.map(|flight| flight.due),
            flight.and_then(|flight| Some(flight.lease?.end)),
            flights.lapsed.by_name.get(&name).map(|one| one.until),
            flights.fills.by_name.get(&name).map(|one| one.until),
        ];
        let mut edges: Vec<_> = edges.into_iter().flatten().collect();
        let place = self.draw.place(edges.len())?;
        Some(edges.swap_remove(place))
    }

    /// To the end of the time for which a revocation is remembered; and there
    /// with a credential that is revoked by it.
    fn outlive_a_revocation(&mut self) {
        let ever = &self.reference.fences.ever;
        let Some(place) = self.draw.place(ever.len()) else {
            return;
        };
        let revocation = ever[place].clone();
        self.pass_to(Some(revocation.until));
        if self.draw.rng.bool() && !self.shape.fine_steps {
            self.reclaim();
            self.check();
        }
        self.put_revoked(&revocation);
    }

    fn pass_to(&mut self, boot: Option<u64>) {
        self.pass_to_edge(boot.and_then(|boot| boot.checked_sub(self.clocks.boot)));
    }

    /// To the instant, or to just before.
    fn pass_to_edge(&mut self, left: Option<u64>) {
        if let Some(left) = left {
            let before = self.draw.rng.u64(0..2);
            self.pass(left.saturating_sub(before));
        }
    }

    fn pass(&mut self, time: u64) {
        self.clocks.wall += time;
        self.clocks.boot += time;
    }
}
