//! The memory of ended leases and fills, and whether it is certain.

use std::collections::BTreeMap;

use credcache_core::Token;

use crate::names::Name;

pub(crate) struct Recent<T> {
    pub(crate) by_name: BTreeMap<Name, Record<T>>,
    /// The capacity of a stripe. The model doesn't know which names share a stripe.
    capacity: usize,
}

pub(crate) struct Record<T> {
    pub(crate) token: Token,
    pub(crate) value: T,
    /// By the boot-time clock, in nanoseconds.
    pub(crate) until: u64,
    is_certain: bool,
}

/// What is known of a lease that ended.
#[derive(Clone, Copy)]
pub(crate) enum Known<T> {
    Yes(T),
    /// Known unless other records have taken its room.
    Maybe(T),
}

impl<T: Copy> Recent<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let by_name = BTreeMap::new();
        Self { by_name, capacity }
    }

    pub(crate) fn remember(&mut self, name: Name, token: Token, value: T, until: u64) {
        let record = Record {
            token,
            value,
            until,
            is_certain: true,
        };
        self.by_name.insert(name, record);
        if self.by_name.len() > self.capacity {
            for record in self.by_name.values_mut() {
                record.is_certain = false;
            }
        }
    }

    pub(crate) fn get(&self, name: Name, token: Token, boot: u64) -> Option<Known<T>> {
        let record = self.by_name.get(&name)?;
        let is_known = record.token == token && boot < record.until;
        is_known.then_some(match record.is_certain {
            true => Known::Yes(record.value),
            false => Known::Maybe(record.value),
        })
    }

    pub(crate) fn forget(&mut self, name: Name) -> bool {
        self.by_name.remove(&name).is_some()
    }

    pub(crate) fn forget_due(&mut self, boot: u64) {
        self.by_name.retain(|_, record| record.until > boot);
    }
}

impl<T> Known<T> {
    pub(crate) fn value(self) -> T {
        match self {
            Self::Yes(value) | Self::Maybe(value) => value,
        }
    }

    pub(crate) fn is_certain(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}
