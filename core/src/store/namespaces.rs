//! The registry of namespaces.
//!
//! A record is shared by all entries of a namespace, so it lives at least as long as any of them.
//! When the registry is full, the record of a namespace that holds nothing is forgotten to make
//! room. So callers can't make the registry exceed its bound.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    counters::{Counts, Tally},
    model::name::NamespaceName,
    sync::RwLock,
};

/// The record of a namespace, which its entries share.
#[derive(Debug)]
pub(crate) struct NamespaceRecord {
    /// Never reused, so the entries of a forgotten record can't be mistaken for entries of a later
    /// record with the same name.
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) tally: Tally,
}

impl NamespaceRecord {
    /// A record that belongs to no namespace: no namespace has an empty name.
    pub(crate) fn placeholder() -> Self {
        Self {
            id: u64::MAX,
            name: "".into(),
            tally: Tally::new(0),
        }
    }
}

pub(crate) struct Namespaces {
    registry: RwLock<Registry>,
    /// The counts of namespaces without a record, including those of forgotten records.
    common_tally: Tally,
    capacity: usize,
    tiers: usize,
}

struct Registry {
    records: Vec<Arc<NamespaceRecord>>,
    /// Indices into `records`.
    by_name: HashMap<Arc<str>, usize>,
    next_id: u64,
    /// The index at which the search for an unused record continues.
    hand: usize,
}

/// How many records one Put inspects in search of an unused one. The limit keeps the cost of a Put
/// independent of the size of a full registry.
const MAX_INSPECTED: usize = 1024;

/// The registry is full of namespaces that hold something.
#[derive(Debug)]
pub(crate) struct TooManyNamespaces;

impl Namespaces {
    pub(crate) fn new(capacity: u32, tiers: usize) -> Self {
        Self {
            registry: RwLock::new(Registry {
                records: Vec::new(),
                by_name: HashMap::new(),
                next_id: 0,
                hand: 0,
            }),
            common_tally: Tally::new(tiers),
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            tiers,
        }
    }

    pub(crate) fn find(&self, name: NamespaceName<'_>) -> Option<Arc<NamespaceRecord>> {
        self.registry.read().find(name).cloned()
    }

    /// Returns the record of a namespace, and creates the record if necessary.
    ///
    /// # Errors
    /// The registry is full and this call found no unused record. The next call inspects other
    /// records.
    pub(crate) fn find_or_create(
        &self,
        name: NamespaceName<'_>,
    ) -> Result<Arc<NamespaceRecord>, TooManyNamespaces> {
        if let Some(namespace) = self.find(name) {
            return Ok(namespace);
        }
        let mut registry = self.registry.write();
        if let Some(namespace) = registry.find(name) {
            return Ok(namespace.clone());
        }
        if registry.records.len() >= self.capacity {
            let forgotten = registry.forget_one().ok_or(TooManyNamespaces)?;
            self.common_tally.absorb(&forgotten.tally);
        }
        debug_assert!(registry.records.len() < self.capacity, "the registry grows");
        Ok(registry.create(name, self.tiers))
    }

    /// Runs `count` on the namespace's tally, or on the common tally if the namespace has no
    /// record.
    pub(crate) fn tally(&self, name: NamespaceName<'_>, count: impl FnOnce(&Tally)) {
        match self.registry.read().find(name) {
            Some(namespace) => count(&namespace.tally),
            None => count(&self.common_tally),
        }
    }

    pub(crate) fn counts(&self, name: Option<NamespaceName<'_>>) -> Counts {
        let mut sum = Counts::zero(self.tiers);
        match name {
            Some(name) => {
                if let Some(namespace) = self.find(name) {
                    sum.add(&namespace.tally);
                }
            }
            None => {
                let registry = self.registry.read();
                sum.add(&self.common_tally);
                for namespace in &registry.records {
                    sum.add(&namespace.tally);
                }
            }
        }
        sum
    }

    pub(crate) fn len(&self) -> usize {
        self.registry.read().records.len()
    }
}

impl Registry {
    fn find(&self, name: NamespaceName<'_>) -> Option<&Arc<NamespaceRecord>> {
        self.by_name
            .get(name.as_str())
            .map(|index| &self.records[*index])
    }

    fn create(&mut self, name: NamespaceName<'_>, tiers: usize) -> Arc<NamespaceRecord> {
        let namespace = Arc::new(NamespaceRecord {
            id: self.next_id,
            name: name.as_str().into(),
            tally: Tally::new(tiers),
        });
        self.next_id += 1;
        self.by_name
            .insert(namespace.name.clone(), self.records.len());
        self.records.push(namespace.clone());
        namespace
    }

    /// Removes an unused record. A record that only the registry owns has no entry and can't get
    /// one, because clones are handed out only under the registry's lock, which is held for writing
    /// here.
    fn forget_one(&mut self) -> Option<Arc<NamespaceRecord>> {
        for _ in 0..MAX_INSPECTED.min(self.records.len()) {
            self.hand = (self.hand + 1) % self.records.len();
            if Arc::get_mut(&mut self.records[self.hand]).is_some() {
                let forgotten = self.records.swap_remove(self.hand);
                self.by_name.remove(&forgotten.name);
                if let Some(moved) = self.records.get(self.hand) {
                    self.by_name.insert(moved.name.clone(), self.hand);
                }
                return Some(forgotten);
            }
        }
        None
    }
}

impl fmt::Debug for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespaces")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NamespaceName<'_> {
        NamespaceName::parse(text).expect("valid")
    }

    #[test]
    fn full_registry_forgets_only_namespaces_that_hold_nothing() {
        let namespaces = Namespaces::new(2, 1);
        let held = namespaces.find_or_create(name("held")).expect("room");
        drop(namespaces.find_or_create(name("empty")).expect("room"));

        let third = namespaces
            .find_or_create(name("third"))
            .expect("the empty one makes room");
        assert!(namespaces.find(name("held")).is_some());
        assert!(namespaces.find(name("empty")).is_none());
        assert!(namespaces.find_or_create(name("fourth")).is_err());
        assert_ne!(held.id, third.id);
    }

    #[test]
    fn places_stay_right_when_records_are_forgotten() {
        let namespaces = Namespaces::new(8, 1);
        let mut held = Vec::new();
        for round in 0..100 {
            let text = format!("n{round}");
            let namespace = namespaces
                .find_or_create(name(&text))
                .expect("empty ones make room");
            if held.len() < 7 {
                held.push(namespace);
            }
        }
        for namespace in &held {
            let found = namespaces.find(name(&namespace.name)).expect("held");
            assert_eq!(found.id, namespace.id);
        }
        assert_eq!(namespaces.len(), 8);
    }

    #[test]
    fn counts_of_forgotten_namespaces_stay_in_the_sum() {
        use crate::counters::Count;
        let namespaces = Namespaces::new(1, 1);
        namespaces
            .find_or_create(name("a"))
            .expect("room")
            .tally
            .add(Count::Puts);
        namespaces
            .find_or_create(name("b"))
            .expect("room")
            .tally
            .add(Count::Puts);
        assert_eq!(namespaces.counts(None).of(Count::Puts), 2);
        assert_eq!(namespaces.counts(Some(name("b"))).of(Count::Puts), 1);
    }
}
