//! Watching the changes of a namespace.

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

/// What a watcher receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A change and its revision. The effect of the change is complete.
    Change(u64, Change),
    /// Some changes up to this revision were forgotten before the watcher read them. The watcher
    /// should discard its state.
    Gap(u64),
}

/// Reads the changes of one namespace in the order of their revisions. Each change is received
/// exactly once, or is covered by a gap. A watcher that isn't read costs the cache nothing, however
/// much changes.
pub struct Watcher {
    cache: Arc<Cache>,
    namespace: Box<str>,
    id: WatcherId,
    /// The revision up to which the watcher has received everything; `None` before a first gap.
    position: Option<u64>,
    is_current: bool,
    _permit: Permit,
}

/// [`Limits::max_watchers`](crate::Limits::max_watchers) watchers exist already.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the limit on watchers is reached")]
pub struct TooManyWatchers;

impl Cache {
    /// Begins to watch a namespace. Dropping the watcher ends it.
    ///
    /// # Errors
    /// [`TooManyWatchers`] if the limit is reached.
    ///
    /// # Examples
    /// ```
    /// use std::{
    ///     sync::Arc,
    ///     task::{Context, Poll, Waker},
    /// };
    ///
    /// use credcache_core::{Change, Invalidate, OwnedTarget, Target, WatchEvent, WatchFrom};
    /// # use std::time::Duration;
    /// # use credcache_core::{Cache, Limits, NamespaceName, Now, TierSpec};
    /// # let hour = TierSpec {
    /// #     name: "hour".to_owned(),
    /// #     max_ttl: Duration::from_secs(3600),
    /// #     capacity: 64 * 1024 * 1024,
    /// # };
    /// # let now = Now::default();
    /// # let namespace = NamespaceName::parse("billing")?;
    /// # let cache = Arc::new(Cache::new(vec![hour], Limits::DEFAULT)?);
    ///
    /// let mut watcher = Arc::clone(&cache).watch(namespace, WatchFrom::Now)?;
    /// let invalidate = Invalidate { namespace, target: Target::All, issued_before: None };
    /// let invalidated = cache.invalidate(invalidate, now);
    ///
    /// // An async caller passes the context of its task.
    /// let mut context = Context::from_waker(Waker::noop());
    /// let change = Change::Invalidated(OwnedTarget::All);
    /// assert_eq!(
    ///     watcher.poll_next(&mut context),
    ///     Poll::Ready(WatchEvent::Change(invalidated.revision.number(), change)),
    /// );
    /// assert!(watcher.poll_next(&mut context).is_pending());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// Returns the next event. If there is none, the result is `Pending`, and the task is woken
    /// when there may be one.
    ///
    /// # Cancel safety
    /// An event is consumed only by the call that returns it.
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

    /// The revision up to which the watcher has received everything, as of the last call of
    /// [`poll_next`](Self::poll_next); 0 before a first gap.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.unwrap_or_default()
    }

    /// Whether the watcher had received every change that was complete when there was last nothing
    /// to receive. A complete change may have to wait for an earlier change to be published.
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
