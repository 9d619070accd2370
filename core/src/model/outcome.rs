//! What a Put and an Invalidate are answered.

use crate::model::{revision::Revision, tier_spec::TierId, time::WallTime};

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

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidated {
    /// How many live credentials were removed.
    pub removed: u64,
    /// The revision of the invalidation.
    pub revision: Revision,
}
