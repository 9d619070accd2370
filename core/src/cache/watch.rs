//! Watching what changes in a namespace.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use thiserror::Error;

use crate::{
    cache::Cache,
    change_log::journal::{Change, JournalRead, WatchFrom, WatcherId},
    model::name::NamespaceName,
    permits::Permit,
};

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A change, at its revision. Its effect is there.
    Change(u64, Change),
    /// Changes up to this revision are no longer remembered.
    Gap(u64),
}

/// Reads the changes of one namespace, in the order of their revisions, each
/// once or within a gap. Costs the cache nothing while it isn't read, however
/// much changes.
pub struct Watcher {
    cache: Arc<Cache>,
    namespace: Box<str>,
    id: WatcherId,
    /// Up to which revision it was told everything; `None` before a gap.
    position: Option<u64>,
    is_current: bool,
    _permit: Permit,
}

/// There are as many watchers as may be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the server has as many watchers as it may")]
pub struct TooManyWatchers;

impl Cache {
    /// Begins to watch a namespace.
    ///
    /// # Errors
    /// There are as many watchers as may be.
    pub fn watch(
        self: Arc<Self>,
        namespace: NamespaceName<'_>,
        from: WatchFrom,
    ) -> Result<Watcher, TooManyWatchers> {
        let permit = self.watcher_permits.try_acquire().ok_or(TooManyWatchers)?;
        let (id, position) = self.change_log.watch(namespace, from);
        Ok(Watcher {
            cache: self,
            namespace: namespace.as_str().into(),
            id,
            position,
            is_current: false,
            _permit: permit,
        })
    }
}

impl Watcher {
    /// The next thing to be told. Pending when there is nothing now; the task
    /// is woken when there may be something.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        let change_log = &self.cache.change_log;
        match change_log.read(&self.namespace, self.id, self.position, cx.waker()) {
            JournalRead::Change { revision, change } => {
                self.position = Some(revision);
                Poll::Ready(WatchEvent::Change(revision, change))
            }
            JournalRead::Gap { up_to } => {
                self.position = Some(up_to);
                Poll::Ready(WatchEvent::Gap(up_to))
            }
            JournalRead::Nothing { up_to, is_all } => {
                self.position = Some(up_to);
                self.is_current = is_all;
                Poll::Pending
            }
        }
    }

    /// The revision up to which everything was told, as far as it was when last
    /// there was nothing to tell; 0 before a first gap.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.unwrap_or_default()
    }

    /// Whether every change that was done was told, when last there was nothing
    /// to tell. One that is done may have to wait for an earlier one.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.is_current
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.cache.change_log.unwatch(&self.namespace, self.id);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
