//! What the shell itself answers in a call's place.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
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
    /// A message is broken off, badly framed or no protobuf.
    MessageMalformed,
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
        };
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
        if matches!(refusal, Refusal::Draining) {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Status::with_error_details(code, message, details)
    }
}
