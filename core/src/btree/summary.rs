//! What an inner node knows about the items below each child.

/// A summary of all items below a node. It may include too much, but never too little: removals
/// don't change it.
pub(crate) trait Summary<T>: Copy {
    /// The most items of a leaf. A sift inspects all of them, and an insertion moves half of them
    /// on average.
    const MAX_ITEMS: usize;
    /// The summary of no items.
    const NONE: Self;

    fn of(item: &T) -> Self;

    /// The summary of both sets of items.
    fn and(self, other: Self) -> Self;
}

/// For trees that are searched in order only.
impl<T> Summary<T> for () {
    const MAX_ITEMS: usize = 256;
    const NONE: Self = ();

    fn of(_: &T) -> Self {}

    fn and(self, (): Self) -> Self {}
}
