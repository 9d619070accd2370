//! A counter that many threads count on: one number would be a line of memory
//! that they all fight for.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

#[derive(Default)]
pub(super) struct Stripes([Stripe; STRIPES]);

#[derive(Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

const STRIPES: usize = 16;

thread_local! {
    static MINE: Cell<usize> = Cell::new(fastrand::usize(..STRIPES));
}

impl Stripes {
    pub(super) fn count(&self) {
        self.0[MINE.get()].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        let counts = self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }
}
