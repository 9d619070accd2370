//! Wire to domain and back.

pub mod proto;
