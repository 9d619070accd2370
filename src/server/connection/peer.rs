//! What the calls of a connection share.

use std::sync::Arc;

use super::memory::ConnectionMemory;
use crate::{rpc::ConnectionShare, server::calls::Calls};

/// The peer of a connection, as its calls know it.
pub(super) struct Peer {
    pub(super) calls: Calls,
    pub(super) memory: Arc<ConnectionMemory>,
    pub(super) share: ConnectionShare,
}
