//! The process's limit of open files, which bounds the connections as well.

use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// What is left for other files than connections: those that are accepted only
/// to be closed, and whatever is opened for a moment.
const SPARE: u64 = 16;
/// How many are open without connections, where the system doesn't say.
const OPEN_BY_THEMSELVES: u64 = 128;

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

/// How many connections there may be: as many as are wanted, or as the limit of
/// open files leaves room for now. Above that they would wait in the backlog,
/// where nobody closes them.
pub(super) fn affordable_connections(wanted: u32) -> u32 {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let open =
        fs::read_dir("/proc/self/fd").map_or(OPEN_BY_THEMSELVES, |files| files.map(|_| 1).sum());
    let affordable = room(limit, open);
    if affordable >= wanted {
        return wanted;
    }
    warn!(
        allowed = affordable,
        wanted,
        open_files = limit,
        "the limit of open files allows fewer connections than limits.max_connections"
    );
    affordable
}

/// How many more files than those `open` a connection each may be, and one at
/// the least. Where there's little room, half of it is spared.
fn room(limit: u64, open: u64) -> u32 {
    let left = limit.saturating_sub(open);
    let room = left - SPARE.min(left / 2);
    u32::try_from(room).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_is_left_of_the_limit_and_never_none() {
        for (limit, open, connections) in [
            (1024, 20, 988),
            (40, 20, 10),
            (21, 20, 1),
            (20, 20, 1),
            (10, 20, 1),
            (u64::MAX, 20, u32::MAX),
        ] {
            assert_eq!(room(limit, open), connections, "{limit} {open}");
        }
    }
}
