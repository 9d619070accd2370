//! The passing of time, and reclaiming.

use super::{Episode, invalidate::MAX_STEPS};
use crate::{clocks::SECOND, reference::Reference, seen::Event};

impl Episode<'_> {
    pub(super) fn reclaim(&mut self) {
        let mut reclaim = self.cache.begin_reclaim(self.clocks.now());
        let reclaimed = (0..MAX_STEPS).find_map(|_| reclaim.step());
        let reclaimed = reclaimed.expect("reclaiming comes to an end");
        let ended = self.reference.reclaim(self.clocks);
        assert!(reclaimed <= ended, "reclaimed a live credential");
        self.account_evictions(ended - reclaimed);
        self.seen.add_times(Event::Reclaimed, reclaimed);

        let grant = self.grant();
        let boot = self.clocks.boot;
        let Reference {
            fences,
            leases,
            journals,
            counted,
            ..
        } = &mut self.reference;
        let before = counted.count(credcache_core::Count::LeasesExpired);
        leases.end_due(boot, grant, counted);
        let after = counted.count(credcache_core::Count::LeasesExpired);
        self.seen.add_times(Event::RanOutByReclaim, after - before);
        self.seen
            .add_times(Event::FenceForgotten, fences.forget(boot));
        self.seen
            .add_times(Event::JournalForgotten, journals.forget(boot));
    }

    /// Lets time pass in a random way, often to the exact edge of an event.
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

    /// When a lease or a cool-down is due, or when the memory of one ends.
    fn edge_of_a_lease(&mut self) -> Option<u64> {
        let name = self.held_name();
        let leases = &self.reference.leases;
        let slot = leases.by_name.get(&name);
        let edges = [
            slot.map(|slot| slot.due),
            slot.and_then(|slot| Some(slot.lease?.end)),
            leases.lapsed.by_name.get(&name).map(|one| one.until),
            leases.fills.by_name.get(&name).map(|one| one.until),
        ];
        let mut edges: Vec<_> = edges.into_iter().flatten().collect();
        let index = self.draw.index(edges.len())?;
        Some(edges.swap_remove(index))
    }

    /// Passes to the end of an invalidation's memory, and then puts a credential that the
    /// invalidation covers.
    fn outlive_a_revocation(&mut self) {
        let ever = &self.reference.fences.ever;
        let Some(index) = self.draw.index(ever.len()) else {
            return;
        };
        let revocation = ever[index].clone();
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

    /// Passes to the instant, or to one nanosecond before it.
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
