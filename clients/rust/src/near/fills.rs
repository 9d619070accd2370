//! The answers of the server that are under way, and what has been revoked
//! since they were asked for.

use std::{collections::HashMap, sync::Arc};

/// The keys that are being asked for, each with the least version that may be
/// kept of it.
///
/// An answer from before a revocation may come in after its event. Whatever the
/// event names is marked here, so that such an answer isn't kept. One that was
/// asked for after the event shares the mark unharmed: by then the server
/// answers no version below it.
#[derive(Default)]
pub(super) struct Fills(HashMap<Arc<str>, Fill>);

struct Fill {
    callers: usize,
    floor: u64,
}

impl Fills {
    pub(super) fn begin(&mut self, key: &str) -> Arc<str> {
        if let Some((key, fill)) = self.0.get_key_value(key) {
            let (key, callers) = (Arc::clone(key), fill.callers);
            if let Some(fill) = self.0.get_mut(&key) {
                fill.callers = callers + 1;
            }
            return key;
        }
        let key: Arc<str> = key.into();
        let fill = Fill {
            callers: 1,
            floor: 0,
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

    pub(super) fn floor(&self, key: &str) -> u64 {
        self.0.get(key).map_or(0, |fill| fill.floor)
    }

    pub(super) fn raise(&mut self, key: &str, floor: u64) {
        if let Some(fill) = self.0.get_mut(key) {
            fill.floor = fill.floor.max(floor);
        }
    }

    /// Goes through all that is under way, which is as much as there are callers.
    pub(super) fn raise_prefix(&mut self, prefix: &str, floor: u64) {
        for (key, fill) in &mut self.0 {
            if key.starts_with(prefix) {
                fill.floor = fill.floor.max(floor);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
