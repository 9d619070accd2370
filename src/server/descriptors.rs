//! The process's limit of open files, which bounds the connections as well.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// Raises the soft limit to the hard one. The soft one is usually 1024, for the
/// sake of programs that use `select`, and would end accepting far below
/// `limits.max_connections`.
pub(super) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "can't raise the limit of open files");
    }
}
