use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::btree::node::{MAX_CHILDREN, SPARE, room_for};

/// A summary that is the least item.
#[derive(Clone, Copy, Debug)]
struct Least(u32);

impl Summary<u32> for Least {
    const MAX_ITEMS: usize = 64;
    const NONE: Self = Self(u32::MAX);

    fn of(item: &u32) -> Self {
        Self(scattered(*item))
    }

    fn and(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

/// An order that differs from that of the items.
fn scattered(item: u32) -> u32 {
    item.wrapping_mul(0x9E37_79B1) >> 16
}

type Numbers = Tree<u32, Least>;

#[derive(Clone, Debug)]
enum Step {
    /// The first item, the number of items, and the distance between them.
    Insert(u32, u32, u32),
    Remove(u32, u32, u32),
    /// Sifts out the items whose summary is less than this.
    Sift(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let run = (0u32..5_000, 1u32..600, 1u32..9);
    prop_oneof![
        4 => run.clone().prop_map(|(from, count, apart)| Step::Insert(from, count, apart)),
        3 => run.prop_map(|(from, count, apart)| Step::Remove(from, count, apart)),
        1 => (0u32..1 << 16).prop_map(Step::Sift),
    ]
}

fn items_from(tree: &Numbers, from: u32) -> Vec<u32> {
    let mut items = Vec::new();
    let _ = tree.visit(
        |item| *item < from,
        |item| {
            items.push(*item);
            ControlFlow::<()>::Continue(())
        },
    );
    items
}

/// Checks the invariants of a node, and returns its height.
fn check(node: &Node<u32, Least>, is_root: bool) -> usize {
    match node {
        Node::Leaf(items) => {
            assert!(is_root || !items.is_empty());
            assert!(items.len() <= Least::MAX_ITEMS);
            assert!(items.capacity() <= room_for::<u32>(items.len() + SPARE));
            0
        }
        Node::Inner(children) => {
            assert!(children.len() <= MAX_CHILDREN && !children.is_empty());
            assert!(!is_root || children.len() > 1);
            let heights = children.iter().map(|child| {
                let mut items = Vec::new();
                let all = |_: &u32| false;
                let _ = child.node.visit(Some(&all), &mut |item: &u32| {
                    items.push(*item);
                    ControlFlow::<()>::Continue(())
                });
                assert_eq!(child.first, items[0]);
                assert!(items.iter().all(|item| child.summary.0 <= scattered(*item)));
                check(&child.node, false)
            });
            let heights: BTreeSet<usize> = heights.collect();
            assert_eq!(heights.len(), 1, "all of one height");
            heights.first().expect("one") + 1
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tree_holds_what_a_set_holds(steps in prop::collection::vec(step(), 1..40)) {
        let mut tree = Numbers::default();
        let mut set = BTreeSet::new();
        for step in steps {
            match step {
                Step::Insert(from, count, apart) => {
                    for item in (from..).step_by(apart as usize).take(count as usize) {
                        let replaced = tree.insert(item, |one| one.cmp(&item));
                        prop_assert_eq!(replaced.is_none(), set.insert(item));
                    }
                }
                Step::Remove(from, count, apart) => {
                    for item in (from..).step_by(apart as usize).take(count as usize) {
                        let removed = tree.remove(|one| one.cmp(&item));
                        prop_assert_eq!(removed.is_some(), set.remove(&item));
                    }
                }
                Step::Sift(below) => {
                    let mut taken = Vec::new();
                    tree.sift(|least| least.0 < below, |item| {
                        ControlFlow::Continue(if scattered(*item) < below {
                            taken.push(*item);
                            Least::NONE
                        } else {
                            Least::of(item)
                        })
                    });
                    for item in &taken {
                        prop_assert!(tree.remove(|one| one.cmp(item)).is_some());
                        prop_assert!(set.remove(item));
                    }
                    prop_assert!(set.iter().all(|item| scattered(*item) >= below));
                }
            }
            check(&tree.0, true);
            prop_assert_eq!(items_from(&tree, 0), set.iter().copied().collect::<Vec<_>>());
            for from in [17, 2_500, 9_999] {
                prop_assert_eq!(items_from(&tree, from), set.range(from..).copied().collect::<Vec<_>>());
                prop_assert_eq!(tree.find(|one| one.cmp(&from)), set.get(&from));
            }
        }
    }
}

#[test]
fn blocks_with_nothing_of_interest_are_passed_over() {
    let mut tree = Numbers::default();
    for item in 0..100_000 {
        tree.insert(item, |one| one.cmp(&item));
    }
    // In the first round, the remainders of old summaries may mislead the search.
    for most in [4 * Least::MAX_ITEMS, 2 * Least::MAX_ITEMS] {
        let least = items_from(&tree, 0)
            .into_iter()
            .min_by_key(|item| scattered(*item))
            .expect("some");
        let below = scattered(least) + 1;
        let mut looked_at = 0;
        tree.sift(
            |summary| summary.0 < below,
            |item| {
                looked_at += 1;
                ControlFlow::Continue(Least::of(item))
            },
        );
        assert!(looked_at <= most, "{looked_at} items for one");
    }
}

#[test]
fn what_is_removed_is_dropped() {
    let mut tree = Tree::<std::sync::Arc<u32>, ()>::default();
    let items: Vec<_> = (0..10_000).map(std::sync::Arc::new).collect();
    for item in &items {
        tree.insert(item.clone(), |one| one.cmp(item));
    }
    for item in items {
        drop(tree.remove(|one| one.cmp(&item)));
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
    }
}

#[test]
fn blocks_of_items_that_come_in_order_are_full() {
    let mut tree = Tree::<u32, Least>::default();
    let count = 10 * Least::MAX_ITEMS;
    for item in (0..).take(count) {
        tree.insert(item, |one| one.cmp(&item));
    }
    let Node::Inner(children) = &tree.0 else {
        panic!("more than a block holds");
    };
    assert_eq!(children.len(), 10);
    check(&tree.0, true);
}
