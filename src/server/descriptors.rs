//! The process's limit of open files, which also bounds the connections.

use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// The files that are kept free for other purposes: connections that are accepted only to be
/// closed, and files that are opened for a moment.
const SPARE: u64 = 16;
/// The assumed number of open files without connections, where the system doesn't report it.
const OPEN_BY_THEMSELVES: u64 = 128;

/// Raises the soft limit to the hard limit. The soft limit is usually 1024, for the sake of
/// programs that use `select`; with it, accepting would fail far below `limits.max_connections`.
pub(super) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "can't raise the limit of open files");
    }
}

/// The number of connections to allow: `wanted`, or fewer if the limit of open files leaves less
/// room. Connections above that limit would wait in the backlog, where the server can't close them.
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

/// How many files can be opened besides the `open` ones, for one connection each. At least one;
/// where there is little room, half of it is kept free.
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
