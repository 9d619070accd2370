//! The questions to the server that are under way, and what was revoked since they
//! were asked.

use std::{collections::HashMap, sync::Arc};

/// The keys that the server is being asked for, each with the least version that may
/// be cached.
///
/// An answer from before a revocation may arrive after the event. The event raises
/// the least version of the keys that it names, so that such an answer isn't cached.
/// A later question for the same key shares that least version unharmed: the server
/// no longer answers a version below it.
#[derive(Default)]
pub(super) struct PendingFills(HashMap<Arc<str>, KeyFills>);

struct KeyFills {
    callers: usize,
    min_version: u64,
}

impl PendingFills {
    pub(super) fn begin(&mut self, key: &str) -> Arc<str> {
        if let Some((key, fill)) = self.0.get_key_value(key) {
            let (key, callers) = (Arc::clone(key), fill.callers);
            if let Some(fill) = self.0.get_mut(&key) {
                fill.callers = callers + 1;
            }
            return key;
        }
        let key: Arc<str> = key.into();
        let fill = KeyFills {
            callers: 1,
            min_version: 0,
        };
        self.0.insert(Arc::clone(&key), fill);
        key
    }

    pub(super) fn end(&mut self, key: &str) {
        let Some(fill) = self.0.get_mut(key) else {
            return;
        };
        fill.callers -= 1;
        if fill.callers == 0 {
            self.0.remove(key);
        }
    }

    pub(super) fn min_version(&self, key: &str) -> u64 {
        self.0.get(key).map_or(0, |fill| fill.min_version)
    }

    pub(super) fn raise(&mut self, key: &str, min_version: u64) {
        if let Some(fill) = self.0.get_mut(key) {
            fill.min_version = fill.min_version.max(min_version);
        }
    }

    /// Goes through all questions that are under way: as many as there are callers.
    pub(super) fn raise_prefix(&mut self, prefix: &str, min_version: u64) {
        for (key, fill) in &mut self.0 {
            if key.starts_with(prefix) {
                fill.min_version = fill.min_version.max(min_version);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
