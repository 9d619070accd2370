//! The only reader of clocks here: what is measured is time.

use std::time::{Instant, SystemTime};

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement is no credential's lifetime"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the issuer's clock, for credentials that are to end together"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
