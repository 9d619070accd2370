//! A bounded memory of what ended recently: lapsed leases, and the answers to fills.
//!
//! There is one record per name, found by the name and the token of its lease. The memory is
//! bounded in number and in time: when it is full, the record that would expire first is dropped.

use std::{collections::BTreeSet, sync::Arc};

use hashbrown::HashTable;

use crate::{
    leases::token::Token,
    model::{name::Name, time::BootTime},
    work::budget::Budget,
};

pub(crate) struct Recent<T> {
    records: HashTable<Record<T>>,
    /// The order in which records expire: end, serial number, hash.
    by_end: BTreeSet<(BootTime, u64, u64)>,
    serials: u64,
    capacity: usize,
}

struct Record<T> {
    hash: u64,
    serial: u64,
    /// The text only, so that these records don't keep the namespace's record in the registry.
    namespace: Arc<str>,
    key: Box<str>,
    token: Token,
    until: BootTime,
    value: T,
}

impl<T> Recent<T> {
    /// Remembers up to `capacity` records, but at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            records: HashTable::new(),
            by_end: BTreeSet::new(),
            serials: 0,
            capacity: capacity.max(1),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Remembers a value until `until`, in place of any other value for the name.
    pub(crate) fn remember(
        &mut self,
        hash: u64,
        (namespace, key): (Arc<str>, Box<str>),
        token: Token,
        value: T,
        until: BootTime,
    ) {
        self.remove(hash, |record| {
            *record.namespace == *namespace && record.key == key
        });
        if self.records.len() >= self.capacity
            && let Some(&(_, serial, hash)) = self.by_end.first()
        {
            self.remove(hash, |record| record.serial == serial);
        }
        self.serials += 1;
        let record = Record {
            hash,
            serial: self.serials,
            namespace,
            key,
            token,
            until,
            value,
        };
        self.by_end.insert(record.end());
        self.records
            .insert_unique(hash, record, |record| record.hash);
    }

    /// The value that is remembered for the name, if its lease has this token.
    pub(crate) fn get(&self, hash: u64, name: Name<'_>, token: Token, now: BootTime) -> Option<&T> {
        let record = self.records.find(hash, |record| record.is_named(name))?;
        (record.token == token && now < record.until).then_some(&record.value)
    }

    /// Forgets the name, and returns the value that was remembered for it.
    pub(crate) fn forget(&mut self, hash: u64, name: Name<'_>) -> Option<T> {
        self.remove(hash, |record| record.is_named(name))
    }

    /// Forgets expired records, as many as the budget allows.
    pub(crate) fn forget_due(&mut self, now: BootTime, budget: &mut Budget) {
        while !budget.is_spent()
            && let Some(&(until, serial, hash)) = self.by_end.first()
            && until <= now
        {
            budget.remove_other();
            self.remove(hash, |record| record.serial == serial);
        }
    }

    fn remove(&mut self, hash: u64, matches: impl FnMut(&Record<T>) -> bool) -> Option<T> {
        let found = self.records.find_entry(hash, matches).ok()?;
        let (record, _) = found.remove();
        self.by_end.remove(&record.end());
        Some(record.value)
    }
}

impl<T> Record<T> {
    fn is_named(&self, name: Name<'_>) -> bool {
        *self.key == *name.key.as_str() && *self.namespace == *name.namespace.as_str()
    }

    fn end(&self) -> (BootTime, u64, u64) {
        (self.until, self.serial, self.hash)
    }
}
