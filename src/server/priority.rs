//! Who has the processor first: calls, before wide invalidations.
//!
//! The reclaimer isn't held back: on a busy core it would no longer keep to the
//! second or two in which expired memory comes back.

/// What lowers a thread's share of a busy core to a tenth of a worker's: low
/// enough for calls not to wait, high enough for a revocation not to.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lowers the priority of the thread that calls it. With nothing else to run it
/// still has all of a core.
pub(super) fn give_way_to_calls() {
    // Elsewhere only the whole process has a priority.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "can't lower the priority of a thread");
    }
}
