//! The errors of a call, and how a gRPC status becomes one.
//!
//! No message holds a key, a value or an attribute: the server's messages don't, and
//! nothing is added here.

pub(crate) mod copies;

use std::{error, time::Duration};

use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt;

use crate::address::AddressError;

/// Why a call has no answer.
///
/// ```no_run
/// use credcache_client::{Client, Error, Put};
///
/// # async fn example(client: Client, put: Put) {
/// match client.put(put.if_absent()).await {
///     Ok(stored) => println!("version {}", stored.version),
///     Err(error) if error.reason() == Some("KEY_LIVE") => println!("it is there already"),
///     Err(error) if error.is_outage() => println!("the cache is out of order: {error}"),
///     Err(Error::Refused(refusal)) => {
///         for violation in &refusal.violations {
///             println!("{}: {}", violation.field, violation.description);
///         }
///     }
///     Err(error) => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text isn't the address of a server.
    #[error("not a server address: {0}")]
    Address(#[from] AddressError),
    /// No connection to the server could be made: the call wasn't executed.
    #[error("the server can't be reached")]
    Unreachable(#[source] Box<dyn error::Error + Send + Sync>),
    /// The connection broke during the call. Whether the server executed the call isn't
    /// known.
    #[error("the connection to the server broke")]
    Disconnected(#[source] Box<dyn error::Error + Send + Sync>),
    /// The call's timeout passed, here or in the server. Whether the server executed the
    /// call isn't known.
    #[error("the call took longer than its timeout")]
    DeadlineExceeded,
    /// The credential expired before `put` could send it, or while `put` was
    /// retrying. It wasn't stored.
    #[error("the credential expired before it could be stored")]
    Expired,
    /// The server refused the call, and didn't execute it. There are two exceptions:
    /// `Unavailable` without a reason, which a proxy answered in the server's place, and
    /// [`Refusal::earlier_attempt_lost`].
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// The server's answer breaks the contract: the versions don't fit together, or
    /// another program listens there.
    #[error("the server's answer is malformed: {0}")]
    Malformed(&'static str),
}

impl Error {
    /// Returns the server's stable reason, such as `KEY_LIVE`, if it named one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.reason.as_deref(),
            _ => None,
        }
    }

    /// The fate of the attempt, if another attempt can help: gRPC's UNAVAILABLE, which
    /// a missing or broken connection counts as.
    pub(crate) fn unavailable(&self) -> Option<Fate> {
        match self {
            Self::Unreachable(_) => Some(Fate::NotCarriedOut),
            Self::Disconnected(_) => Some(Fate::Unknown),
            Self::Refused(refusal) if refusal.code == Code::Unavailable => {
                // The server gives a reason. What a proxy answers in its place,
                // because the server didn't, proves nothing about the server.
                Some(match refusal.reason {
                    Some(_) => Fate::NotCarriedOut,
                    None => Fate::Unknown,
                })
            }
            Self::Refused(_)
            | Self::Address(_)
            | Self::DeadlineExceeded
            | Self::Expired
            | Self::Malformed(_) => None,
        }
    }

    /// The server was unreachable a moment ago, and isn't asked.
    pub(crate) fn known_unreachable() -> Self {
        Self::Unreachable("it was unreachable a moment ago".into())
    }

    /// Whether no server was met that could answer, so that the next call would fail
    /// as well.
    pub(crate) fn met_no_server(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Disconnected(_) | Self::DeadlineExceeded => true,
            Self::Refused(refusal) => refusal.code == Code::Unavailable,
            Self::Address(_) | Self::Expired | Self::Malformed(_) => false,
        }
    }

    /// Returns whether the cache is at fault, and not the call: a caller that can do
    /// without the cache should do so.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Disconnected(_)
            | Self::DeadlineExceeded
            | Self::Malformed(_) => true,
            Self::Refused(refusal) => matches!(
                refusal.code,
                Code::Unavailable
                    | Code::Internal
                    | Code::Unknown
                    | Code::Cancelled
                    | Code::DataLoss
                    | Code::ResourceExhausted
            ),
            Self::Address(_) | Self::Expired => false,
        }
    }

    /// Returns how long the server asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// The same error, of a call of which an earlier attempt may have been
    /// carried out.
    pub(crate) fn after_a_lost_attempt(mut self) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.earlier_attempt_lost = true;
        }
        self
    }
}

/// What became of an attempt that met no available server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The server certainly didn't carry it out.
    NotCarriedOut,
    /// The server may have carried it out.
    Unknown,
}

/// A status with which the server refused a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code:?}){}", lost(*.earlier_attempt_lost))]
#[non_exhaustive]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// The stable reason of `google.rpc.ErrorInfo`, for programs to compare.
    pub reason: Option<String>,
    /// The message, for people to read.
    pub message: String,
    /// Every field that breaks a rule, with `InvalidArgument`.
    pub violations: Vec<FieldViolation>,
    /// How long to wait before trying again, where waiting helps.
    pub retry_after: Option<Duration>,
    /// Whether the connection broke during an earlier attempt of the same call. The
    /// refusal is of the last attempt alone: the earlier one may have been executed.
    /// Never set for a call that changes nothing, nor for a Put without a lease.
    pub earlier_attempt_lost: bool,
}

fn lost(earlier_attempt: bool) -> &'static str {
    if earlier_attempt {
        "; an earlier attempt broke off, and may have been carried out"
    } else {
        ""
    }
}

/// A field of the request that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldViolation {
    /// The field's path in the request message.
    pub field: String,
    /// The rule it breaks.
    pub description: String,
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        // A status that the server sent has no source: a source is the mark of
        // one that tonic made up here, out of a timeout or a transport error,
        // and whose code says less than the source does.
        if let Some(source) = error::Error::source(&status) {
            return if chain(source).any(|cause| cause.is::<TimeoutExpired>()) {
                Self::DeadlineExceeded
            } else if chain(source).any(|cause| cause.is::<ConnectError>()) {
                Self::Unreachable(status.into())
            } else {
                Self::Disconnected(status.into())
            };
        }
        if status.code() == Code::DeadlineExceeded {
            return Self::DeadlineExceeded;
        }
        let details = status.get_error_details();
        let violations = details
            .bad_request()
            .map(|bad_request| &bad_request.field_violations[..]);
        Self::Refused(Box::new(Refusal {
            code: status.code(),
            reason: details.error_info().map(|info| info.reason.clone()),
            message: status.message().to_owned(),
            violations: violations
                .unwrap_or_default()
                .iter()
                .map(|violation| FieldViolation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            earlier_attempt_lost: false,
        }))
    }
}

fn chain<'a>(
    error: &'a (dyn error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use std::io;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn refusal_carries_all_that_the_server_said() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info("UNKNOWN_TIER", "credcache", [])
            .add_bad_request_violation("tier", "names no configured tier")
            .set_retry_info(Some(Duration::from_secs(3)));
        let status = Status::with_error_details(Code::InvalidArgument, "unknown tier", details);

        let error = Error::from(status);
        assert_eq!(error.reason(), Some("UNKNOWN_TIER"));
        assert_eq!(error.to_string(), "unknown tier (InvalidArgument)");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        let Error::Refused(refusal) = error else {
            panic!("{error:?}")
        };
        assert_eq!(refusal.violations[0].field, "tier");
        assert_eq!(
            refusal.violations[0].description,
            "names no configured tier"
        );
    }

    #[test]
    fn call_is_certainly_not_carried_out_only_without_a_connection_or_by_the_servers_word() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let connect = Error::from(Status::from_error(Box::new(ConnectError(refused.into()))));
        assert!(matches!(connect, Error::Unreachable(_)));
        assert_eq!(connect.unavailable(), Some(Fate::NotCarriedOut));

        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let broken = Error::from(Status::from_error(Box::new(reset)));
        assert!(matches!(broken, Error::Disconnected(_)));
        assert_eq!(broken.unavailable(), Some(Fate::Unknown));

        let details = ErrorDetails::with_error_info("DRAINING", "credcache", []);
        let draining = Status::with_error_details(Code::Unavailable, "draining", details);
        let draining = Error::from(draining);
        assert_eq!(draining.unavailable(), Some(Fate::NotCarriedOut));
        let proxy = Error::from(Status::unavailable("HTTP status code 504"));
        assert_eq!(proxy.unavailable(), Some(Fate::Unknown));
    }

    #[test]
    fn no_status_but_unavailable_is_worth_another_attempt() {
        for code in (0..=16).map(Code::from_i32) {
            let error = Error::from(Status::new(code, ""));
            let again = error.unavailable().is_some();
            assert_eq!(again, code == Code::Unavailable, "{code:?}");
        }
    }

    #[test]
    fn timeout_is_told_apart_from_a_broken_connection() {
        let local = Status::from_error(Box::new(TimeoutExpired(())));
        assert!(matches!(Error::from(local), Error::DeadlineExceeded));
        let remote = Status::deadline_exceeded("the caller's deadline passed");
        assert!(matches!(Error::from(remote), Error::DeadlineExceeded));
    }
}
