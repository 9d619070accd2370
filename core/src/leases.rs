//! Who fetches a key, who waits for the fetch, and what is remembered of leases that ended.

pub(crate) mod grant;
pub(crate) mod recent;
pub(crate) mod table;
pub(crate) mod token;
pub(crate) mod waiter;
