//! What one step of a call of `get_or_fetch` results in.

use std::time::Duration;

use super::failure::GetOrFetchError;
use crate::judged::SharedCredential;

/// What one step of a call results in: a question to the server, or a fetch.
///
/// A [fetch](super::job::FetchJob) results in `Done`, `Failed`, `Unusable` or
/// `LeaseLost`; a question in any of them, for it may end in a fetch.
pub(crate) enum Step<E> {
    /// A credential, and the least lifetime that it must have left.
    Done(SharedCredential, Duration),
    /// The call can't succeed.
    Failed(GetOrFetchError<E>),
    /// Another caller is fetching; the server may say when to ask again.
    Pending(Option<Duration>),
    /// A fetch brought a credential that must not be used: it was revoked
    /// meanwhile. Or another call's fetch ended without one.
    Unusable,
    /// A fetch brought a credential, but lost its lease: another caller may have
    /// stored a later one.
    LeaseLost(SharedCredential),
    /// The call's own deadline cut the question short.
    OutOfTime,
}

impl<E> Step<E> {
    /// A credential that was just fetched, which is good whatever lifetime it has
    /// left.
    pub(super) fn fetched(credential: SharedCredential) -> Self {
        Self::Done(credential, Duration::ZERO)
    }
}
