//! The results of a Put and of an invalidation.

use crate::model::{revision::Revision, tier_spec::TierId, time::WallTime};

/// The result of a Put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The revision of the Put, which is the version of the credential.
    pub version: Revision,
    /// The tier that the credential was stored in.
    pub tier: TierId,
    /// When the credential expires, by the wall clock. This is earlier than requested if the tier's
    /// `max_ttl` is shorter.
    pub expires_at: WallTime,
}

/// The result of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidated {
    /// How many live credentials were removed.
    pub removed: u64,
    /// The revision of the invalidation.
    pub revision: Revision,
}
