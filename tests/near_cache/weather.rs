//! The faults of a link.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use tokio::time::sleep;

use crate::{
    BOUND,
    link::{Link, Which},
};

/// The state of a link, for its readers.
#[derive(Default)]
pub(crate) struct Weather {
    pub(crate) outages: AtomicU64,
    /// No connection carries anything.
    pub(crate) is_down: AtomicBool,
}

/// The time after a stall in which held-back bytes pass before the next fault: the bound doesn't
/// include the time that a message is on its way.
const SETTLED: Duration = Duration::from_millis(200);

/// Breaks the link again and again.
pub(crate) async fn storm(link: Arc<Link>, weather: Arc<Weather>, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    loop {
        sleep(SETTLED + Duration::from_millis(rng.u64(..1000))).await;
        // Every second fault outlasts the bound.
        let longest = BOUND.as_millis() as u64 * 3 / 2;
        let while_ = Duration::from_millis(match rng.bool() {
            true => rng.u64(50..longest * 2 / 3),
            false => rng.u64(longest * 2 / 3..longest),
        });
        let one = if rng.bool() { Which::Odd } else { Which::Even };
        let down = |down| weather.is_down.store(down, Ordering::SeqCst);
        match rng.u8(..6) {
            0 => link.cut(Which::All),
            1 => link.cut(one),
            2 => {
                link.stall(Some(one));
                sleep(while_).await;
                link.stall(None);
            }
            3 => {
                link.stall(Some(Which::All));
                down(true);
                sleep(while_).await;
                down(false);
                link.stall(None);
            }
            4 => {
                link.refuse(true);
                link.cut(Which::All);
                down(true);
                sleep(while_).await;
                down(false);
                link.refuse(false);
            }
            // Held-back bytes are lost.
            _ => {
                link.stall(Some(Which::All));
                down(true);
                sleep(while_).await;
                link.cut(Which::All);
                down(false);
                link.stall(None);
            }
        }
        weather.outages.fetch_add(1, Ordering::SeqCst);
    }
}
