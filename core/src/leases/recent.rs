//! What is over and still known of for a while: leases that ran out, and what
//! fills were answered.
//!
//! One record a name, found by the name and the token of its lease. Bounded in
//! number and in time: where there is no room, the record that would be
//! forgotten first makes some.

use std::{collections::BTreeSet, sync::Arc};

use hashbrown::HashTable;

use crate::{
    leases::token::Token,
    model::{name::Name, time::BootTime},
    work::budget::Budget,
};

pub(crate) struct Recent<T> {
    records: HashTable<Record<T>>,
    /// When each is forgotten: until, serial, hash.
    by_end: BTreeSet<(BootTime, u64, u64)>,
    serials: u64,
    capacity: usize,
}

struct Record<T> {
    hash: u64,
    serial: u64,
    /// Its text alone: a namespace that holds nothing else may be forgotten.
    namespace: Arc<str>,
    key: Box<str>,
    token: Token,
    until: BootTime,
    what: T,
}

impl<T> Recent<T> {
    /// Remembers up to this many, but always one.
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

    /// Remembers it in place of whatever else is remembered of the name.
    pub(crate) fn remember(
        &mut self,
        hash: u64,
        (namespace, key): (Arc<str>, Box<str>),
        token: Token,
        what: T,
        until: BootTime,
    ) {
        self.remove(hash, |one| *one.namespace == *namespace && one.key == key);
        if self.records.len() >= self.capacity
            && let Some(&(_, serial, hash)) = self.by_end.first()
        {
            self.remove(hash, |one| one.serial == serial);
        }
        self.serials += 1;
        let record = Record {
            hash,
            serial: self.serials,
            namespace,
            key,
            token,
            until,
            what,
        };
        self.by_end.insert(record.end());
        self.records
            .insert_unique(hash, record, |record| record.hash);
    }

    /// What is remembered of the name's lease with this token.
    pub(crate) fn of(&self, hash: u64, name: Name<'_>, token: Token, now: BootTime) -> Option<&T> {
        let record = self.records.find(hash, |one| one.is_named(name))?;
        (record.token == token && now < record.until).then_some(&record.what)
    }

    /// Forgets what is remembered of the name, and answers with it.
    pub(crate) fn forget(&mut self, hash: u64, name: Name<'_>) -> Option<T> {
        self.remove(hash, |one| one.is_named(name))
    }

    /// Forgets what it is time to forget, as much of it as the budget allows.
    pub(crate) fn forget_due(&mut self, now: BootTime, budget: &mut Budget) {
        while !budget.is_spent()
            && let Some(&(until, serial, hash)) = self.by_end.first()
            && until <= now
        {
            budget.remove_other();
            self.remove(hash, |one| one.serial == serial);
        }
    }

    fn remove(&mut self, hash: u64, is_it: impl FnMut(&Record<T>) -> bool) -> Option<T> {
        let found = self.records.find_entry(hash, is_it).ok()?;
        let (record, _) = found.remove();
        self.by_end.remove(&record.end());
        Some(record.what)
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
