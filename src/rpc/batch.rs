//! What BatchGet and BatchPut have in common.
//!
//! Neither message can cost much more memory than its bytes: a request keeps no more items than a
//! batch may have (`items`), and a response stays within the size that clients accept (`room`).

mod items;
mod room;

use self::items::Items;
pub(super) use self::items::MAX_ITEMS;
pub use self::items::{BatchGetRequest, BatchPutRequest};
pub(super) use self::room::Room;
use super::fields::Fields;

/// The items of a batch, if their number is allowed.
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
