//! Why a command failed: its exit code, and the message for the person who typed it. Every message
//! also says what to do next.

use std::{error, fmt::Write, io, process::ExitCode};

use credcache_client::{Code, Error, Refusal};

use super::{connection::ConnectionArgs, escape};
use crate::duration;

/// The arguments or the input are wrong (EX_USAGE of sysexits.h).
pub(super) const USAGE: u8 = 64;
/// The server can't be reached (EX_UNAVAILABLE).
const UNREACHABLE: u8 = 69;
/// Any other error (EX_SOFTWARE).
const OTHER: u8 = 70;
/// The same command may succeed in a moment (EX_TEMPFAIL).
const NOT_NOW: u8 = 75;

#[derive(Debug)]
pub(super) enum Failure {
    /// The arguments are wrong; the message says what to do.
    Usage(String),
    /// The command that was to fetch a credential failed.
    Command(String),
    /// The command may be tried again; the message says when.
    NotNow(String),
    Call(Error),
    /// The server is silent although it should send something; the message says what to do.
    Silent(String),
    /// A watch ended with this failure at this position, which `--from` accepts.
    WatchEnded {
        failure: Box<Self>,
        position: String,
    },
    Output(io::Error),
}

/// What may happen if a command is repeated whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// The command has the same effect again, or no further effect.
    Harmless,
    /// The command may undo what other callers did meanwhile.
    CheckFirst,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    pub(super) fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Call(Error::Address(_)) => USAGE,
            Self::Call(Error::Unreachable(_) | Error::Disconnected(_)) => UNREACHABLE,
            Self::Call(Error::Refused(refusal)) => match refusal.code {
                Code::InvalidArgument => USAGE,
                Code::Unavailable => UNREACHABLE,
                _ => OTHER,
            },
            Self::Call(_) | Self::Command(_) => OTHER,
            Self::NotNow(_) => NOT_NOW,
            Self::Silent(_) => UNREACHABLE,
            Self::WatchEnded { failure, .. } => failure.code(),
            // The reader has read enough, as in `credcache stats --watch | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => OTHER,
        }
    }

    /// The message, or `None` if stdout has lost its reader.
    pub(super) fn message(&self, connection: &ConnectionArgs, retry: Retry) -> Option<String> {
        let ConnectionArgs { server, timeout } = connection;
        Some(match self {
            Self::Usage(message)
            | Self::Command(message)
            | Self::NotNow(message)
            | Self::Silent(message) => message.clone(),
            Self::WatchEnded { failure, position } => format!(
                "{}; continue with --from {}",
                failure.message(connection, retry)?,
                escape::line(position)
            ),
            Self::Call(Error::Unreachable(cause)) => format!(
                "{server} can't be reached ({}); is the server running there? \
                 --server or CREDCACHE_SERVER names another",
                root(cause.as_ref())
            ),
            Self::Call(Error::Disconnected(cause)) => format!(
                "the connection to {server} broke ({}); {}",
                root(cause.as_ref()),
                retry.after_unknown("try again")
            ),
            Self::Call(Error::DeadlineExceeded) => format!(
                "{server} did not answer within {}; {}",
                duration::format(*timeout),
                retry.after_unknown("try a longer --timeout")
            ),
            Self::Call(Error::Refused(refusal)) => refused(refusal),
            Self::Call(error @ Error::Malformed(_)) => {
                format!("{error}; is {server} a credcache server of this version?")
            }
            Self::Call(error @ Error::Expired) => format!("{error}; fetch a new one"),
            Self::Call(error) => error.to_string(),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return None,
            Self::Output(error) => format!("can't write the output: {error}"),
        })
    }
}

impl Retry {
    fn after_unknown(self, harmless: &'static str) -> &'static str {
        match self {
            Self::Harmless => harmless,
            Self::CheckFirst => {
                "the credential may or may not have been stored: `credcache get --output json` shows it"
            }
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    let mut text = format!(
        "the server refused the request: {}",
        escape::line(&refusal.message)
    );
    if let Some(reason) = &refusal.reason {
        let _ = write!(text, " ({})", escape::line(reason));
    }
    for violation in &refusal.violations {
        let (field, rule) = (&violation.field, &violation.description);
        let _ = write!(text, "\n  {}: {}", escape::line(field), escape::line(rule));
    }
    let advice = match refusal.code {
        Code::Aborted if refusal.reason.as_deref() == Some("LEASE_LOST") => {
            "the key was put meanwhile, or another caller was granted its lease: see `credcache get`"
        }
        Code::Aborted if refusal.reason.as_deref() == Some("REVOKED") => {
            "don't use this credential: fetch a new one"
        }
        Code::InvalidArgument => return text,
        Code::AlreadyExists => "leave out --if-absent to replace the stored credential",
        Code::Aborted => "`credcache get --output json` shows the version that is live now",
        Code::FailedPrecondition => "such a credential can't be cached: use it directly",
        Code::Unavailable => "try again in a moment",
        Code::ResourceExhausted => "try again later, or raise the server's limit",
        Code::Unauthenticated | Code::PermissionDenied => {
            "use an identity that has this permission"
        }
        Code::Unimplemented => "check that --server names a credcache server of this version",
        _ => "the server's log may say more",
    };
    let _ = write!(text, "; {advice}");
    text
}

/// The innermost cause, which is the one that people know: "connection refused".
fn root<'a>(error: &'a (dyn error::Error + 'static)) -> &'a (dyn error::Error + 'static) {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn connection() -> ConnectionArgs {
        let server = "127.0.0.1:50051".parse().unwrap();
        ConnectionArgs {
            server,
            timeout: Duration::from_secs(5),
        }
    }

    fn unreachable() -> Failure {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        Error::Unreachable(refused.into()).into()
    }

    fn disconnected() -> Failure {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        Error::Disconnected(reset.into()).into()
    }

    fn watch_ended(failure: Failure) -> Failure {
        Failure::WatchEnded {
            failure: Box::new(failure),
            position: "5f2c:7".into(),
        }
    }

    fn message(failure: &Failure) -> String {
        failure.message(&connection(), Retry::Harmless).unwrap()
    }

    #[test]
    fn exit_code_tells_what_kind_of_failure_it_was() {
        for (failure, code) in [
            (Failure::Usage(String::new()), 64),
            (Failure::Command(String::new()), 70),
            (Failure::NotNow(String::new()), 75),
            (
                Error::Address(credcache_client::AddressError::Port).into(),
                64,
            ),
            (unreachable(), 69),
            (disconnected(), 69),
            (Failure::Silent(String::new()), 69),
            (watch_ended(disconnected()), 69),
            (Error::DeadlineExceeded.into(), 70),
            (Error::Expired.into(), 70),
            (Error::Malformed("ttl").into(), 70),
            (io::Error::from(io::ErrorKind::StorageFull).into(), 70),
            (io::Error::from(io::ErrorKind::BrokenPipe).into(), 0),
        ] {
            assert_eq!(failure.code(), code, "{failure:?}");
        }
    }

    #[test]
    fn refusal_is_told_by_its_code_and_names_what_to_do() {
        for (code, exit, advice) in [
            (Code::InvalidArgument, 64, "breaks a rule"),
            (Code::Unavailable, 69, "try again in a moment"),
            (Code::AlreadyExists, 70, "--if-absent"),
            (Code::Aborted, 70, "the version that is live"),
            (Code::FailedPrecondition, 70, "use it directly"),
            (Code::Internal, 70, "log"),
        ] {
            let status = tonic::Status::new(code, "the request breaks a rule");
            let failure = Failure::from(Error::from(status));
            assert_eq!(failure.code(), exit, "{code:?}");
            let message = message(&failure);
            assert!(message.contains(advice), "{message}");
        }
    }

    #[test]
    fn what_the_server_says_is_shown_on_one_line_and_does_nothing_to_a_terminal() {
        let mut details = ErrorDetails::with_error_info("\x1b[2J", "credcache", []);
        details.add_bad_request_violation("ti\ner", "\u{202e}no");
        let status =
            tonic::Status::with_error_details(Code::InvalidArgument, "a\ncredcache: b", details);
        assert_eq!(
            message(&Error::from(status).into()),
            "the server refused the request: a\\ncredcache: b (\\u{1b}[2J)\n  ti\\ner: \\u{202e}no"
        );
    }

    #[test]
    fn advice_fits_the_command() {
        for failure in [disconnected(), Error::DeadlineExceeded.into()] {
            let read = failure.message(&connection(), Retry::Harmless).unwrap();
            assert!(read.contains("; try "), "{read}");
            let put = failure.message(&connection(), Retry::CheckFirst).unwrap();
            assert!(put.contains("may or may not have been stored"), "{put}");
        }
        let watch = message(&watch_ended(disconnected()));
        assert!(watch.ends_with("; continue with --from 5f2c:7"), "{watch}");
    }

    #[test]
    fn what_was_aborted_is_told_by_its_reason() {
        for (reason, advice) in [
            ("LEASE_LOST", "another caller"),
            ("REVOKED", "don't use this credential"),
            ("VERSION_DIFFERS", "the version that is live"),
        ] {
            let details = ErrorDetails::with_error_info(reason, "credcache", []);
            let status = tonic::Status::with_error_details(Code::Aborted, "aborted", details);
            let message = message(&Error::from(status).into());
            assert!(message.contains(advice), "{message}");
        }
    }

    #[test]
    fn message_about_a_missing_server_names_it_and_the_cause() {
        let text = message(&unreachable());
        assert!(
            text.starts_with("127.0.0.1:50051 can't be reached (connection refused)"),
            "{text}"
        );
        let text = message(&disconnected());
        assert!(text.contains("broke (connection reset)"), "{text}");
        let text = message(&Error::DeadlineExceeded.into());
        assert!(text.contains("within 5s"), "{text}");
    }

    #[test]
    fn reader_that_left_is_told_nothing() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.message(&connection(), Retry::Harmless), None);
    }
}
