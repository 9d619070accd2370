//! What BatchGet and BatchPut have in common.
//!
//! Guarantees that neither message can cost much more memory than its bytes: a
//! request keeps no more items than a batch may have (`items`), and a response
//! stays within what clients take (`room`).

mod items;
mod room;

use self::items::Items;
pub use self::items::{BatchGetRequest, BatchPutRequest};
pub(super) use self::room::Room;
use super::fields::Fields;

/// The most items of a batch.
pub(super) const MAX_ITEMS: usize = 1000;

/// The items of a batch, if there are as many as there may be.
pub(super) fn items<'a, T>(
    fields: &mut Fields,
    field: &str,
    items: &'a Items<T>,
) -> Option<&'a [T]> {
    let rule = || format!("must be 1 to {MAX_ITEMS}, are {}", items.count());
    fields.check(
        field,
        items.all().filter(|all| !all.is_empty()).ok_or_else(rule),
    )
}
