//! Why calls fail, and the one table from failures to statuses.
//!
//! No message contains a key, a value or an attribute.

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::error;

use credcache_core::{ExtendError, LeaseError, LeaseLost, PutError, TooManyWatchers};

/// The `domain` of every ErrorInfo.
const DOMAIN: &str = "credcache";

/// When a temporarily refused call may be repeated: a lease ends within seconds, and a restart
/// takes about as long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a call failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// Fields of the request break their rules.
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
    /// The call can't be finished; see [`Failure::broken`].
    #[error("the server failed to finish the call")]
    Broken,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why a call of any rpc is refused without being served.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum Refusal {
    #[error("the deadline passed in the server")]
    DeadlineExceeded,
    /// The drain began before the call, or while the call waited or streamed.
    #[error("the server is draining; safe to retry")]
    Draining,
    /// The connection has reached its age, while a Watch went on.
    #[error("the connection has reached its maximum age; open another and continue there")]
    ConnectionRetired,
    #[error("a message is larger than its method accepts")]
    MessageTooLarge,
    #[error("the connection holds as much memory for its calls as it may")]
    MemoryFull,
    #[error("half of the calls of the connection are waiting Gets and Watches already")]
    TooManyWaits,
    #[error("a message can't be read: it is incomplete, badly framed or of another type")]
    MessageMalformed,
    #[error("the headers of the call take more than 16 KiB")]
    HeadersTooLarge,
    #[error("grpc-timeout is malformed: it is 1 to 8 digits and one of H, M, S, m, u and n")]
    TimeoutMalformed,
    /// For a method that takes one message.
    #[error("the method takes one message, and the request has none")]
    NoMessage,
    #[error("the method takes one message, and the request has more")]
    TooManyMessages,
    #[error("grpc-encoding isn't supported; supported: identity")]
    EncodingUnsupported,
    #[error("the compressed-flag of a message isn't 0, but grpc-encoding names no compression")]
    FlagInvalid,
    #[error("the server has no such service or method")]
    MethodUnknown,
}

/// A field and the rule that it breaks.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) field: String,
    pub(super) rule: String,
}

impl Failure {
    /// Creates the failure of a call that can't be finished because of a fault in the server. The
    /// log states the reason, because the caller doesn't learn it.
    pub(super) fn broken(reason: &'static str) -> Self {
        error!(reason, "a call can't be finished");
        Self::Broken
    }

    /// The code and the stable reason.
    fn code_and_reason(&self) -> (Code, &'static str) {
        match self {
            Self::Invalid(_) | Self::Put(PutError::NoLifetime) => {
                (Code::InvalidArgument, "INVALID_FIELD")
            }
            Self::SingleUse => (Code::FailedPrecondition, "SINGLE_USE"),
            Self::Put(PutError::Exists) => (Code::AlreadyExists, "KEY_LIVE"),
            Self::Put(PutError::VersionDiffers) => (Code::Aborted, "VERSION_DIFFERS"),
            Self::Put(PutError::LeaseLost(LeaseLost))
            | Self::Extend(ExtendError::LeaseLost(LeaseLost))
            | Self::Abandon(LeaseLost) => (Code::Aborted, "LEASE_LOST"),
            Self::Put(PutError::Revoked) | Self::Extend(ExtendError::Revoked) => {
                (Code::Aborted, "REVOKED")
            }
            Self::Put(PutError::TooManyNamespaces) | Self::Lease(LeaseError::TooManyNamespaces) => {
                (Code::ResourceExhausted, "TOO_MANY_NAMESPACES")
            }
            Self::Lease(LeaseError::TooManyLeases) => (Code::ResourceExhausted, "TOO_MANY_LEASES"),
            Self::Watch(TooManyWatchers) => (Code::ResourceExhausted, "TOO_MANY_WATCHERS"),
            Self::Broken => (Code::Internal, "INTERNAL"),
            Self::Refused(refusal) => match refusal {
                Refusal::DeadlineExceeded => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
                Refusal::Draining => (Code::Unavailable, "DRAINING"),
                Refusal::ConnectionRetired => (Code::Unavailable, "CONNECTION_RETIRED"),
                Refusal::MemoryFull => (Code::ResourceExhausted, "MEMORY_FULL"),
                Refusal::TooManyWaits => (Code::ResourceExhausted, "TOO_MANY_WAITS"),
                Refusal::MessageTooLarge => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
                Refusal::MessageMalformed => (Code::InvalidArgument, "MALFORMED_MESSAGE"),
                Refusal::HeadersTooLarge => (Code::ResourceExhausted, "HEADERS_TOO_LARGE"),
                Refusal::TimeoutMalformed => (Code::InvalidArgument, "MALFORMED_TIMEOUT"),
                Refusal::NoMessage | Refusal::TooManyMessages => {
                    (Code::Unimplemented, "WRONG_MESSAGE_COUNT")
                }
                Refusal::EncodingUnsupported => (Code::Unimplemented, "UNSUPPORTED_ENCODING"),
                Refusal::FlagInvalid => (Code::Internal, "INVALID_COMPRESSED_FLAG"),
                Refusal::MethodUnknown => (Code::Unimplemented, "UNKNOWN_METHOD"),
            },
        }
    }

    /// The details: the reason, and whatever else a caller needs.
    fn details(&self, reason: &str) -> ErrorDetails {
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, []);
        match self {
            Self::Invalid(violations) => {
                for Violation { field, rule } in violations {
                    details.add_bad_request_violation(field, rule);
                }
            }
            // Parsing refuses an expired lifetime by its field's own name before the cache sees it.
            Self::Put(PutError::NoLifetime) => {
                details.add_bad_request_violation("lifetime", "must not have expired");
            }
            Self::Lease(LeaseError::TooManyLeases)
            | Self::Refused(
                Refusal::Draining
                | Refusal::ConnectionRetired
                | Refusal::MemoryFull
                | Refusal::TooManyWaits,
            ) => {
                details.set_retry_info(Some(RETRY_AFTER));
            }
            Self::SingleUse
            | Self::Put(_)
            | Self::Lease(_)
            | Self::Extend(_)
            | Self::Abandon(_)
            | Self::Watch(_)
            | Self::Broken
            | Self::Refused(_) => {}
        }
        details
    }
}

fn summary(violations: &[Violation]) -> String {
    let fields: Vec<_> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.rule))
        .collect();
    fields.join("; ")
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let (code, reason) = failure.code_and_reason();
        let details = failure.details(reason);
        let mut status = Self::with_error_details(code, failure.to_string(), details);
        if let Failure::Refused(Refusal::EncodingUnsupported) = failure {
            let supported = MetadataValue::from_static("identity");
            status
                .metadata_mut()
                .insert("grpc-accept-encoding", supported);
        }
        status
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal).into()
    }
}
