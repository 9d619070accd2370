//! What the shell itself answers in a call's place.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, StatusExt};

use crate::rpc::DOMAIN;

/// A client that is told to go elsewhere may come back after this long: a
/// restart takes about that.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a call isn't answered by its handler.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// The caller's deadline passed first.
    DeadlineExceeded,
    /// The server is going away.
    Draining,
    /// A message is above the limit.
    MessageTooLarge,
    /// A message is broken off, or no protobuf.
    MessageMalformed,
    /// The headers of the call are above the limit.
    HeadersTooLarge,
    /// `grpc-timeout` is none.
    TimeoutMalformed,
    /// No message came where the method takes one.
    NoMessage,
    /// Another came behind the one that the method takes.
    TooManyMessages,
    /// Messages are compressed, in a way that isn't supported.
    EncodingUnsupported,
    /// A message is marked as compressed, in no way that was named.
    FlagInvalid,
    /// There is no such service or method.
    MethodUnknown,
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let (code, reason, message) = match refusal {
            Refusal::DeadlineExceeded => (
                Code::DeadlineExceeded,
                "DEADLINE_EXCEEDED",
                "the deadline passed in the server",
            ),
            Refusal::Draining => (
                Code::Unavailable,
                "DRAINING",
                "the server is draining; safe to retry",
            ),
            Refusal::MessageTooLarge => (
                Code::ResourceExhausted,
                "MESSAGE_TOO_LARGE",
                "a message is larger than the server takes",
            ),
            Refusal::MessageMalformed => (
                Code::InvalidArgument,
                "MALFORMED_MESSAGE",
                "a message can't be read: it is incomplete, badly framed or of another type",
            ),
            Refusal::HeadersTooLarge => (
                Code::ResourceExhausted,
                "HEADERS_TOO_LARGE",
                "the headers of the call take more than 16 KiB",
            ),
            Refusal::TimeoutMalformed => (
                Code::InvalidArgument,
                "MALFORMED_TIMEOUT",
                "grpc-timeout is malformed: it is 1 to 8 digits and one of H, M, S, m, u and n",
            ),
            Refusal::NoMessage => (
                Code::Unimplemented,
                "WRONG_MESSAGE_COUNT",
                "the method takes one message, and none came",
            ),
            Refusal::TooManyMessages => (
                Code::Unimplemented,
                "WRONG_MESSAGE_COUNT",
                "the method takes one message, and more came",
            ),
            Refusal::EncodingUnsupported => (
                Code::Unimplemented,
                "UNSUPPORTED_ENCODING",
                "grpc-encoding isn't supported; supported: identity",
            ),
            Refusal::FlagInvalid => (
                Code::Internal,
                "INVALID_COMPRESSED_FLAG",
                "the compressed-flag of a message isn't 0, but grpc-encoding names no compression",
            ),
            Refusal::MethodUnknown => (
                Code::Unimplemented,
                "UNKNOWN_METHOD",
                "the server has no such service or method",
            ),
        };
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
        if matches!(refusal, Refusal::Draining) {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        let mut status = Status::with_error_details(code, message, details);
        if matches!(refusal, Refusal::EncodingUnsupported) {
            let supported = MetadataValue::from_static("identity");
            status
                .metadata_mut()
                .insert("grpc-accept-encoding", supported);
        }
        status
    }
}
