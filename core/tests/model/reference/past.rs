//! What is over and still known of for a while, and whether that is certain.

use std::collections::BTreeMap;

use credcache_core::Token;

use crate::names::Name;

pub(crate) struct Past<T> {
    pub(crate) by_name: BTreeMap<Name, Record<T>>,
    /// How many each part of the cache has room for. Which names share one isn't
    /// known.
    capacity: usize,
}

pub(crate) struct Record<T> {
    pub(crate) token: Token,
    pub(crate) what: T,
    /// By the boot-time clock.
    pub(crate) until: u64,
    is_certain: bool,
}

/// What is known of a lease that is over.
#[derive(Clone, Copy)]
pub(crate) enum Known<T> {
    Yes(T),
    /// Others may have taken its place.
    Maybe(T),
}

impl<T: Copy> Past<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let by_name = BTreeMap::new();
        Self { by_name, capacity }
    }

    pub(crate) fn remember(&mut self, name: Name, token: Token, what: T, until: u64) {
        let record = Record {
            token,
            what,
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

    pub(crate) fn of(&self, name: Name, token: Token, boot: u64) -> Option<Known<T>> {
        let record = self.by_name.get(&name)?;
        let is_known = record.token == token && boot < record.until;
        is_known.then_some(match record.is_certain {
            true => Known::Yes(record.what),
            false => Known::Maybe(record.what),
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
    pub(crate) fn what(self) -> T {
        match self {
            Self::Yes(what) | Self::Maybe(what) => what,
        }
    }

    pub(crate) fn is_certain(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}
