//! What a Put is answered.

use super::{revision::Revision, tier_spec::TierId, time::WallTime};

/// What was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The revision of the Put.
    pub version: Revision,
    /// Where it went.
    pub tier: TierId,
    /// When it ends: earlier than asked for if the tier is shorter.
    pub expires_at: WallTime,
}
