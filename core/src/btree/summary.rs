//! What a parent knows of a block.

/// What a parent knows of all items of a block. It may say too much, never too
/// little: it stays when items go.
pub(crate) trait Summary<T>: Copy {
    /// The most items of a block. All of them are looked at to sift it, and for
    /// each that comes half of them move, on average.
    const MOST_ITEMS: usize;
    /// Of no item.
    const NONE: Self;

    fn of(item: &T) -> Self;

    /// Of both.
    fn and(self, other: Self) -> Self;
}

/// For trees that are searched in order only.
impl<T> Summary<T> for () {
    const MOST_ITEMS: usize = 256;
    const NONE: Self = ();

    fn of(_: &T) -> Self {}

    fn and(self, (): Self) -> Self {}
}
