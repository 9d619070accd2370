//! Leases, the Gets that wait for them, and the memory of leases that ended.

pub(crate) mod grant;
pub(crate) mod recent;
pub(crate) mod table;
pub(crate) mod token;
pub(crate) mod waiter;
