//! The namespaces the server keeps a record of.
//!
//! A record is shared by all of a namespace's entries, so it lives as long as
//! any of them. Records of namespaces that hold nothing are forgotten when room
//! for another one is needed: callers can't make the registry grow past its
//! bound.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::RwLock;

use super::{
    counters::{Counts, Tally},
    name::NamespaceName,
};

/// What the entries of one namespace share.
pub(super) struct Namespace {
    /// Never used twice, so entries of a forgotten record can't be taken for
    /// those of a later one with the same name.
    pub(super) id: u64,
    pub(super) name: Box<str>,
    pub(super) tally: Tally,
}

pub(super) struct Namespaces {
    registry: RwLock<Registry>,
    /// What happened in namespaces without a record, and what those counted
    /// that were forgotten.
    elsewhere: Tally,
    capacity: usize,
    tiers: usize,
}

struct Registry {
    by_name: HashMap<Box<str>, Arc<Namespace>>,
    next_id: u64,
}

/// The registry is full of namespaces that hold something.
#[derive(Debug)]
pub(super) struct TooManyNamespaces;

impl Namespaces {
    pub(super) fn new(capacity: u32, tiers: usize) -> Self {
        Self {
            registry: RwLock::new(Registry {
                by_name: HashMap::new(),
                next_id: 0,
            }),
            elsewhere: Tally::new(tiers),
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            tiers,
        }
    }

    pub(super) fn find(&self, name: NamespaceName<'_>) -> Option<Arc<Namespace>> {
        self.registry.read().by_name.get(name.as_str()).cloned()
    }

    pub(super) fn find_or_create(
        &self,
        name: NamespaceName<'_>,
    ) -> Result<Arc<Namespace>, TooManyNamespaces> {
        if let Some(namespace) = self.find(name) {
            return Ok(namespace);
        }
        let mut registry = self.registry.write();
        if let Some(namespace) = registry.by_name.get(name.as_str()) {
            return Ok(namespace.clone());
        }
        if registry.by_name.len() >= self.capacity {
            self.forget_empty(&mut registry);
        }
        if registry.by_name.len() >= self.capacity {
            return Err(TooManyNamespaces);
        }
        let namespace = Arc::new(Namespace {
            id: registry.next_id,
            name: name.as_str().into(),
            tally: Tally::new(self.tiers),
        });
        registry.next_id += 1;
        registry
            .by_name
            .insert(name.as_str().into(), namespace.clone());
        Ok(namespace)
    }

    /// A record with no other owner than the registry has no entry, and nobody
    /// is about to give it one: clones are handed out under the registry's
    /// lock alone, which is held here.
    fn forget_empty(&self, registry: &mut Registry) {
        registry.by_name.retain(|_, namespace| {
            let held = Arc::strong_count(namespace) > 1;
            if !held {
                self.elsewhere.absorb(&namespace.tally);
            }
            held
        });
    }

    /// Runs `count` on the namespace's tally, or on the common one if there is
    /// no record of it.
    pub(super) fn tally(&self, name: NamespaceName<'_>, count: impl FnOnce(&Tally)) {
        match self.registry.read().by_name.get(name.as_str()) {
            Some(namespace) => count(&namespace.tally),
            None => count(&self.elsewhere),
        }
    }

    pub(super) fn counts(&self, only: Option<NamespaceName<'_>>) -> Counts {
        let mut sum = Counts::zero(self.tiers);
        match only {
            Some(name) => {
                if let Some(namespace) = self.find(name) {
                    sum.add(&namespace.tally);
                }
            }
            None => {
                let registry = self.registry.read();
                sum.add(&self.elsewhere);
                for namespace in registry.by_name.values() {
                    sum.add(&namespace.tally);
                }
            }
        }
        sum
    }

    pub(super) fn len(&self) -> usize {
        self.registry.read().by_name.len()
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
    fn counts_of_forgotten_namespaces_stay_in_the_sum() {
        use super::super::counters::Count;
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
