//! The terms of a lease.

use std::time::Duration;

use crate::{
    leases::token::{Lease, LeaseRequest, MAX_LEASE},
    model::time::BootTime,
};

/// The terms on which a lease would be granted now.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    /// The latest revision.
    pub(crate) revision: u64,
    pub(crate) now: BootTime,
    /// The lifetime of the lease if the request states none.
    pub(crate) ttl: Duration,
}

/// When a lease was granted.
#[derive(Clone, Copy)]
pub(crate) struct Granted {
    /// The latest revision at that time.
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
    /// When the lease stops being current, even if its holder extends it.
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
