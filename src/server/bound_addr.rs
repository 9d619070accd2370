//! The address that a listener is bound to.

use std::{fmt, net::SocketAddr, path::PathBuf};

/// The address at which clients reach the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddr {
    /// An IP address, with the port that the system chose.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for BoundAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
