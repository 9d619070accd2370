//! The rate limit of the log: each call site may write a number of lines in a window of time, and
//! further lines are counted instead.
//!
//! Without a limit, a peer could make the server repeat a line without end. Lines of `debug` and
//! `trace` are not limited, because these levels are for seeing everything.

use std::collections::HashMap;

use parking_lot::Mutex;
use tracing::{Event, Level, Metadata, Subscriber, callsite::Identifier};
use tracing_subscriber::{Layer, layer::Context};

/// How many lines of one call site are written within a window.
pub(super) const LINES_IN_A_WINDOW: u64 = 20;

/// The lines of each call site in the current window. The map is bounded by the number of call
/// sites in the program.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<Identifier, Site>>);

#[derive(Debug)]
struct Site {
    metadata: &'static Metadata<'static>,
    lines: u64,
}

/// A call site, and how many of its lines were left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftOut {
    pub(super) site: &'static Metadata<'static>,
    pub(super) lines: u64,
}

/// A layer that applies the limit to the events of a subscriber.
pub(super) struct Limit(pub(super) std::sync::Arc<Repeats>);

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.admit(event.metadata())
    }
}

impl Repeats {
    fn admit(&self, metadata: &'static Metadata<'static>) -> bool {
        if *metadata.level() > Level::INFO {
            return true;
        }
        let mut sites = self.0.lock();
        let site = sites
            .entry(metadata.callsite())
            .or_insert(Site { metadata, lines: 0 });
        site.lines += 1;
        site.lines <= LINES_IN_A_WINDOW
    }

    /// Begins a new window, and returns what was left out in the last one.
    pub(super) fn next_window(&self) -> Vec<LeftOut> {
        let sites = std::mem::take(&mut *self.0.lock());
        sites
            .into_values()
            .filter_map(|Site { metadata, lines }| {
                let lines = lines.checked_sub(LINES_IN_A_WINDOW)?;
                (lines > 0).then_some(LeftOut {
                    site: metadata,
                    lines,
                })
            })
            .collect()
    }
}
