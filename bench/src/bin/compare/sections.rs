//! The parts of a run, each with servers of its own.

mod batch;
mod calls;
mod filled;
mod get;
mod in_process;
mod instructions;
mod memory;
mod stalls;

use clap::ValueEnum;

use crate::{contest::Rounds, failure::Failure, report::Report, servers::Stage};

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// Get over TCP: shapes and sizes; beside Redis and etcd where it counts
    Get,
    /// The same over a Unix socket
    Unix,
    /// `BatchGet` of 100 keys beside MGET
    Batch,
    /// Put, miss, and 95 Gets to 5 Puts
    Calls,
    /// Bytes an entry at a million entries, beside Redis and memcached
    Memory,
    /// What a Get waits while the server does something else
    Stalls,
    /// Instructions of a Get, under valgrind
    Instructions,
    /// The core in the process, by the program `core`
    Core,
    /// The client's near cache, by the program `near`
    Near,
}

impl Section {
    pub(crate) fn run(
        self,
        stage: &Stage,
        rounds: Rounds,
        report: &mut Report,
    ) -> Result<(), Failure> {
        match self {
            Self::Get => get::over_tcp(stage, rounds, report),
            Self::Unix => get::over_unix(stage, rounds, report),
            Self::Batch => batch::measure(stage, rounds, report),
            Self::Calls => calls::measure(stage, rounds, report),
            Self::Memory => memory::measure(stage, report),
            Self::Stalls => stalls::measure(stage, rounds, report),
            Self::Instructions => instructions::measure(stage, report),
            Self::Core => in_process::measure(stage, "core", report),
            Self::Near => in_process::measure(stage, "near", report),
        }
    }
}
