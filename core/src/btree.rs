//! An ordered set of handles that takes little more than they do.
//!
//! A B+ tree whose blocks are no larger than what they hold, up to a few places.
//! The order is the caller's: each search says how an item stands to what is
//! sought, so no key is kept beside the items. Each block is summed up by its
//! parent, so that what can hold nothing of interest is passed over.

mod node;
pub(crate) mod summary;
#[cfg(test)]
mod tests;

use std::{cmp::Ordering, ops::ControlFlow};

use crate::btree::{
    node::{Inserted, Node},
    summary::Summary,
};

pub(crate) struct Tree<T, S>(Node<T, S>);

impl<T, S> Default for Tree<T, S> {
    fn default() -> Self {
        Self(Node::Leaf(Vec::new()))
    }
}

impl<T: Clone, S: Summary<T>> Tree<T, S> {
    /// The item that `order` finds equal; it says how an item stands to what is
    /// sought.
    pub(crate) fn find(&self, order: impl Fn(&T) -> Ordering) -> Option<&T> {
        self.0.find(&order)
    }

    /// Puts an item in its place, and returns the equal one that stood there.
    pub(crate) fn insert(&mut self, item: T, order: impl Fn(&T) -> Ordering) -> Option<T> {
        match self.0.insert(item, &order, true) {
            Inserted::Added => None,
            Inserted::Replaced(old) => Some(old),
            Inserted::Split(right) => {
                self.0.grow(right);
                None
            }
        }
    }

    /// Takes the equal item out.
    pub(crate) fn remove(&mut self, order: impl Fn(&T) -> Ordering) -> Option<T> {
        let removed = self.0.remove(&order);
        self.0.shrink();
        removed
    }

    /// Visits the items in order, from the first that isn't `before` on, until
    /// the visit breaks off.
    pub(crate) fn visit<B>(
        &self,
        before: impl Fn(&T) -> bool,
        mut visit: impl FnMut(&T) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.0.visit(Some(&before), &mut visit)
    }

    /// Visits the items of the blocks that `may_hold` what is looked for, until
    /// the visit breaks off. It says what sums each item up from now on: those
    /// that it takes are summed up by nothing, and must be removed.
    pub(crate) fn sift(
        &mut self,
        may_hold: impl Fn(S) -> bool,
        mut visit: impl FnMut(&T) -> ControlFlow<(), S>,
    ) {
        // What is known when it breaks off is already noted.
        let _ = self.0.sift(&may_hold, &mut visit);
    }
}
