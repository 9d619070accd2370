//! A node of the tree: insertion, removal, splitting and merging.

use std::{cmp::Ordering, ops::ControlFlow};

use crate::{btree::summary::Summary, store::alloc_size::alloc_size};

/// The most children of an inner node: enough that the node's own 50 bytes or so are little per
/// child.
pub(super) const MAX_CHILDREN: usize = 64;
/// How many removed elements a node may keep capacity for.
pub(super) const SPARE: usize = 8;

pub(super) enum Node<T, S> {
    Leaf(Vec<T>),
    /// Never empty; all children have the same height.
    Inner(Vec<Child<T, S>>),
}

pub(super) struct Child<T, S> {
    /// A clone of the node's first item. It must be renewed when that item is removed.
    pub(super) first: T,
    pub(super) summary: S,
    pub(super) node: Node<T, S>,
}

pub(super) enum Inserted<T, S> {
    Added,
    Replaced(T),
    /// The item was added, and this new node follows the node that was split.
    Split(Child<T, S>),
}

impl<T: Clone, S: Summary<T>> Node<T, S> {
    pub(super) fn find(&self, order: &impl Fn(&T) -> Ordering) -> Option<&T> {
        match self {
            Self::Leaf(items) => items.binary_search_by(order).ok().map(|at| &items[at]),
            Self::Inner(children) => children[child_for(children, order)].node.find(order),
        }
    }

    /// Inserts an item. `is_last` says that the node is the rightmost of its level. An item that
    /// comes after all others begins a leaf of its own when the last leaf is full, so that
    /// insertions in ascending order leave full leaves behind.
    pub(super) fn insert(
        &mut self,
        item: T,
        order: &impl Fn(&T) -> Ordering,
        is_last: bool,
    ) -> Inserted<T, S> {
        match self {
            Self::Leaf(items) => match items.binary_search_by(order) {
                Ok(at) => Inserted::Replaced(std::mem::replace(&mut items[at], item)),
                Err(at) if items.len() < S::MAX_ITEMS => {
                    insert_at(items, at, item);
                    Inserted::Added
                }
                Err(at) if is_last && at == items.len() => {
                    let mut right = Vec::new();
                    insert_at(&mut right, 0, item);
                    Inserted::Split(Child::of(Self::Leaf(right), S::NONE))
                }
                Err(at) => {
                    let mut right = split(items);
                    match at.checked_sub(items.len()) {
                        Some(at) => insert_at(&mut right, at, item),
                        None => insert_at(items, at, item),
                    }
                    Inserted::Split(Child::of(Self::Leaf(right), S::NONE))
                }
            },
            Self::Inner(children) => {
                let at = child_for(children, order);
                let is_last = is_last && at + 1 == children.len();
                let child = &mut children[at];
                child.summary = child.summary.and(S::of(&item));
                let inserted = child.node.insert(item, order, is_last);
                // `first` may be greater than the new item, or may be the item that was replaced.
                if order(&child.first) != Ordering::Less {
                    child.renew_first();
                }
                match inserted {
                    Inserted::Split(mut right) => {
                        right.summary = child.summary;
                        Self::insert_child(children, at + 1, right)
                    }
                    done => done,
                }
            }
        }
    }

    fn insert_child(
        children: &mut Vec<Child<T, S>>,
        at: usize,
        child: Child<T, S>,
    ) -> Inserted<T, S> {
        if children.len() < MAX_CHILDREN {
            insert_at(children, at, child);
            return Inserted::Added;
        }
        let mut right = split(children);
        match at.checked_sub(children.len()) {
            Some(at) => insert_at(&mut right, at, child),
            None => insert_at(children, at, child),
        }
        Inserted::Split(Child::of(Self::Inner(right), S::NONE))
    }

    /// Adds a level: the split root becomes the left child of a new root.
    pub(super) fn grow(&mut self, mut right: Child<T, S>) {
        let left = std::mem::replace(self, Self::Leaf(Vec::new()));
        let summary = left.sum_up();
        right.summary = right.node.sum_up();
        *self = Self::Inner(vec![Child::of(left, summary), right]);
    }

    pub(super) fn remove(&mut self, order: &impl Fn(&T) -> Ordering) -> Option<T> {
        match self {
            Self::Leaf(items) => {
                let at = items.binary_search_by(order).ok()?;
                let item = items.remove(at);
                trim(items);
                Some(item)
            }
            Self::Inner(children) => {
                let at = child_for(children, order);
                let child = &mut children[at];
                let removed = child.node.remove(order)?;
                if child.node.len() == 0 {
                    children.remove(at);
                    trim(children);
                } else {
                    if order(&child.first) == Ordering::Equal {
                        child.renew_first();
                    }
                    if child.node.len() < child.node.most() / 2 {
                        merge_around(children, at);
                    }
                }
                Some(removed)
            }
        }
    }

    /// Removes root levels that have fewer than two children.
    pub(super) fn shrink(&mut self) {
        while let Self::Inner(children) = self
            && children.len() < 2
        {
            *self = children
                .pop()
                .map_or(Self::Leaf(Vec::new()), |only| only.node);
        }
    }

    pub(super) fn visit<B>(
        &self,
        before: Option<&impl Fn(&T) -> bool>,
        visit: &mut impl FnMut(&T) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        match self {
            Self::Leaf(items) => {
                let start = before.map_or(0, |before| items.partition_point(before));
                items[start..].iter().try_for_each(visit)
            }
            Self::Inner(children) => {
                let start = before.map_or(0, |before| {
                    let after = children.partition_point(|child| before(&child.first));
                    after.saturating_sub(1)
                });
                let mut before = before;
                for child in &children[start..] {
                    child.node.visit(before.take(), visit)?;
                }
                ControlFlow::Continue(())
            }
        }
    }

    /// Returns the node's new summary.
    pub(super) fn sift(
        &mut self,
        may_hold: &impl Fn(S) -> bool,
        visit: &mut impl FnMut(&T) -> ControlFlow<(), S>,
    ) -> ControlFlow<(), S> {
        let mut sum = S::NONE;
        match self {
            Self::Leaf(items) => {
                for item in items {
                    sum = sum.and(visit(item)?);
                }
            }
            Self::Inner(children) => {
                for child in children {
                    if may_hold(child.summary) {
                        child.summary = child.node.sift(may_hold, visit)?;
                    }
                    sum = sum.and(child.summary);
                }
            }
        }
        ControlFlow::Continue(sum)
    }

    fn sum_up(&self) -> S {
        match self {
            Self::Leaf(items) => items.iter().fold(S::NONE, |sum, item| sum.and(S::of(item))),
            Self::Inner(children) => children
                .iter()
                .fold(S::NONE, |sum, child| sum.and(child.summary)),
        }
    }

    /// The first item. The node must not be an empty root.
    fn first(&self) -> &T {
        match self {
            Self::Leaf(items) => &items[0],
            Self::Inner(children) => &children[0].first,
        }
    }

    /// The most elements of this node. A node with less than half of them is merged with a
    /// neighbour that has room.
    fn most(&self) -> usize {
        match self {
            Self::Leaf(_) => S::MAX_ITEMS,
            Self::Inner(_) => MAX_CHILDREN,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Inner(children) => children.len(),
        }
    }
}

impl<T: Clone, S: Summary<T>> Child<T, S> {
    fn of(node: Node<T, S>, summary: S) -> Self {
        Self {
            first: node.first().clone(),
            summary,
            node,
        }
    }

    fn renew_first(&mut self) {
        self.first = self.node.first().clone();
    }
}

/// The index of the child that contains the item sought or, if the item is missing, that it belongs
/// into.
fn child_for<T, S>(children: &[Child<T, S>], order: &impl Fn(&T) -> Ordering) -> usize {
    let after = children.partition_point(|child| order(&child.first) != Ordering::Greater);
    after.saturating_sub(1)
}

/// Merges the child, which has few elements, with a neighbour that has room.
fn merge_around<T: Clone, S: Summary<T>>(children: &mut Vec<Child<T, S>>, at: usize) {
    for left in [at.checked_sub(1), Some(at)].into_iter().flatten() {
        let [one, other, ..] = &mut children[left..] else {
            continue;
        };
        // Only up to three quarters, so that the next insertion doesn't split the node again.
        let most = one.node.most() * 3 / 4;
        let is_merged = match (&mut one.node, &mut other.node) {
            (Node::Leaf(items), Node::Leaf(more)) => append_up_to(most, items, more),
            (Node::Inner(children), Node::Inner(more)) => append_up_to(most, children, more),
            // Never: the children of a node are all of one height. If two were not,
            // they would stay as they are: what the index loses, no invalidation finds.
            (Node::Leaf(_), Node::Inner(_)) | (Node::Inner(_), Node::Leaf(_)) => {
                debug_assert!(false, "children of one node differ in height");
                false
            }
        };
        if is_merged {
            one.summary = one.summary.and(other.summary);
            children.remove(left + 1);
            trim(children);
            return;
        }
    }
}

/// Appends all of `more`, unless the sum would be above `most`. Returns whether it
/// was appended.
fn append_up_to<T>(most: usize, items: &mut Vec<T>, more: &mut Vec<T>) -> bool {
    if items.len() + more.len() > most {
        return false;
    }
    items.reserve_exact(room_for::<T>(items.len() + more.len()) - items.len());
    items.append(more);
    true
}

fn insert_at<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(room_for::<T>(items.len() + 1) - items.len());
    }
    items.insert(at, item);
}

/// Moves the right half into a new vector. Neither half keeps more capacity than the allocator's
/// size class provides.
fn split<T>(items: &mut Vec<T>) -> Vec<T> {
    let middle = items.len() / 2;
    let mut right = Vec::with_capacity(room_for::<T>(items.len() - middle));
    right.extend(items.drain(middle..));
    trim(items);
    right
}

/// Gives up capacity for more than a few elements.
fn trim<T>(items: &mut Vec<T>) {
    if items.capacity() > room_for::<T>(items.len() + SPARE) {
        items.shrink_to(room_for::<T>(items.len()));
    }
}

/// How many elements fit into the allocator's size class for `count` elements.
pub(super) fn room_for<T>(count: usize) -> usize {
    let bytes = alloc_size((count * size_of::<T>()) as u64);
    usize::try_from(bytes).map_or(count, |bytes| bytes / size_of::<T>())
}
