//! What a lease is granted on.

use std::time::Duration;

use crate::{
    leases::token::{Lease, LeaseRequest, MAX_LEASE},
    model::time::BootTime,
};

/// What a lease is granted on.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    /// The latest revision.
    pub(crate) revision: u64,
    pub(crate) now: BootTime,
    /// How long it lasts unless another ttl is asked for.
    pub(crate) ttl: Duration,
}

/// What a lease was granted on.
#[derive(Clone, Copy)]
pub(crate) struct Granted {
    /// The latest revision then.
    pub(crate) revision: u64,
    at: BootTime,
}

impl From<Grant> for Granted {
    fn from(grant: Grant) -> Self {
        Self {
            revision: grant.revision,
            at: grant.now,
        }
    }
}

impl Granted {
    /// When it is current no longer, whatever its holder does.
    pub(crate) fn end(self) -> BootTime {
        self.at.after(MAX_LEASE)
    }
}

impl Grant {
    pub(crate) fn lease(self, request: LeaseRequest) -> Lease {
        Lease {
            token: request.token,
            ttl: request.ttl.unwrap_or(self.ttl).min(MAX_LEASE),
        }
    }
}
