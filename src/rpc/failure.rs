//! What can go wrong, and the one table from it to statuses.
//!
//! No message holds a key, a value or an attribute.

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::error;

use credcache_core::{ExtendError, LeaseError, LeaseLost, PutError, TooManyWatchers};

/// The `domain` of every ErrorInfo.
pub(crate) const DOMAIN: &str = "credcache";

/// When a call that was refused for the moment may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a call was refused.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{}", summary(.0))]
    Invalid(Vec<Violation>),
    #[error("a credential for single use must not be cached")]
    SingleUse,
    #[error(transparent)]
    Put(#[from] PutError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Extend(#[from] ExtendError),
    #[error(transparent)]
    Abandon(#[from] LeaseLost),
    #[error(transparent)]
    Watch(#[from] TooManyWatchers),
    /// The drain began while the call waited, or went on for as long as it
    /// would.
    #[error("the server is draining; safe to retry")]
    Ending,
    #[error("the deadline passed in the server")]
    DeadlineExceeded,
    #[error("the server failed to finish the call")]
    Broken,
}

impl Failure {
    /// A call that can't be finished, which is a fault of the server: the log
    /// has to tell why, for the caller isn't told.
    pub(super) fn broken(why: &'static str) -> Self {
        error!(why, "a call is broken");
        Self::Broken
    }
}

/// A field that breaks a rule, and which one.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) field: String,
    pub(super) rule: String,
}

fn summary(violations: &[Violation]) -> String {
    let fields: Vec<_> = violations
        .iter()
        .map(|one| format!("{}: {}", one.field, one.rule))
        .collect();
    fields.join("; ")
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let (code, reason) = match &failure {
            Failure::Invalid(_) => (Code::InvalidArgument, "INVALID_FIELD"),
            Failure::SingleUse => (Code::FailedPrecondition, "SINGLE_USE"),
            Failure::Put(PutError::NoLifetime) => (Code::InvalidArgument, "INVALID_FIELD"),
            Failure::Put(PutError::Exists) => (Code::AlreadyExists, "KEY_LIVE"),
            Failure::Put(PutError::VersionDiffers) => (Code::Aborted, "VERSION_DIFFERS"),
            Failure::Put(PutError::LeaseLost(LeaseLost))
            | Failure::Extend(ExtendError::LeaseLost(LeaseLost))
            | Failure::Abandon(LeaseLost) => (Code::Aborted, "LEASE_LOST"),
            Failure::Put(PutError::Revoked) | Failure::Extend(ExtendError::Revoked) => {
                (Code::Aborted, "REVOKED")
            }
            Failure::Put(PutError::TooManyNamespaces)
            | Failure::Lease(LeaseError::TooManyNamespaces) => {
                (Code::ResourceExhausted, "TOO_MANY_NAMESPACES")
            }
            Failure::Lease(LeaseError::TooManyLeases) => {
                (Code::ResourceExhausted, "TOO_MANY_LEASES")
            }
            Failure::Watch(TooManyWatchers) => (Code::ResourceExhausted, "TOO_MANY_WATCHERS"),
            Failure::Ending => (Code::Unavailable, "DRAINING"),
            Failure::DeadlineExceeded => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            Failure::Broken => (Code::Internal, "INTERNAL"),
        };
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, []);
        match &failure {
            Failure::Invalid(violations) => {
                for Violation { field, rule, .. } in violations {
                    details.add_bad_request_violation(field, rule);
                }
            }
            // Refused, under the field's own name, before the cache sees it.
            Failure::Put(PutError::NoLifetime) => {
                details.add_bad_request_violation("lifetime", "must not be over");
            }
            // A lease is over in seconds.
            Failure::Lease(LeaseError::TooManyLeases) | Failure::Ending => {
                details.set_retry_info(Some(RETRY_AFTER));
            }
            Failure::SingleUse
            | Failure::Put(_)
            | Failure::Lease(_)
            | Failure::Extend(_)
            | Failure::Abandon(_)
            | Failure::Watch(_)
            | Failure::DeadlineExceeded
            | Failure::Broken => {}
        }
        Self::with_error_details(code, failure.to_string(), details)
    }
}
