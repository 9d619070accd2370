//! A B+ tree: an ordered set of handles with little memory overhead.
//!
//! A node's allocation is at most a few elements larger than its content. The caller defines the
//! order: each search passes a function that compares an item with the one sought, so the tree
//! stores no keys. Each inner node keeps a [`Summary`] of every child, so that a search can skip
//! children that can't contain a match.

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
    /// Finds the item that `order` reports as equal. `order` compares an item with the one sought.
    pub(crate) fn find(&self, order: impl Fn(&T) -> Ordering) -> Option<&T> {
        self.0.find(&order)
    }

    /// Inserts an item, and returns the equal item that it replaces.
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

    /// Removes the item that `order` reports as equal.
    pub(crate) fn remove(&mut self, order: impl Fn(&T) -> Ordering) -> Option<T> {
        let removed = self.0.remove(&order);
        self.0.shrink();
        removed
    }

    /// Visits the items in order, beginning with the first for which `before` is false, until
    /// `visit` breaks.
    pub(crate) fn visit<B>(
        &self,
        before: impl Fn(&T) -> bool,
        mut visit: impl FnMut(&T) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.0.visit(Some(&before), &mut visit)
    }

    /// Visits the items of all leaves that `may_hold` a match according to their summaries, until
    /// `visit` breaks. `visit` returns the new summary of each item. For a match that the caller
    /// collects, that is [`Summary::NONE`], and the caller must then remove the item.
    pub(crate) fn sift(
        &mut self,
        may_hold: impl Fn(S) -> bool,
        mut visit: impl FnMut(&T) -> ControlFlow<(), S>,
    ) {
        // Summaries that were renewed before the break stay renewed.
        let _ = self.0.sift(&may_hold, &mut visit);
    }
}
