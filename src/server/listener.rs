//! A listening socket of either kind, and the connections that it accepts.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, UnixListener, lookup_host};

use super::{
    bound_addr::BoundAddr,
    connection::Accepted,
    slot::Holder,
    unix_socket::{self, SocketFile},
};
use crate::config::{Config, ListenAddr, is_loopback};

/// How long a peer is idle before the kernel probes it. HTTP/2 pings find most dead peers earlier;
/// the probe also works before the preface.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// Listens on one address.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    address: BoundAddr,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix {
        // The file is removed before the listener is dropped, because fields drop in this order.
        _file: SocketFile,
        listener: UnixListener,
    },
}

impl Listener {
    /// Binds `address`. If a name stands for several addresses, the first that can be bound is
    /// used.
    pub(super) async fn bind(address: &ListenAddr, config: &Config) -> io::Result<Self> {
        match address {
            ListenAddr::Ip(address) => Self::tcp(TcpListener::bind(address).await?),
            ListenAddr::Host { name, port } => {
                let addresses: Vec<_> = lookup_host((name.as_str(), *port)).await?.collect();
                // A name's addresses are known only now.
                if !config.insecure && !addresses.iter().copied().all(is_loopback) {
                    return Err(io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        "other hosts could read the plaintext; --insecure allows it",
                    ));
                }
                Self::tcp(TcpListener::bind(addresses.as_slice()).await?)
            }
            ListenAddr::Unix(path) => {
                let (listener, file) = unix_socket::listen(path, &config.unix).await?;
                Ok(Self {
                    socket: Socket::Unix {
                        _file: file,
                        listener,
                    },
                    address: BoundAddr::Unix(path.clone()),
                })
            }
        }
    }

    fn tcp(socket: TcpListener) -> io::Result<Self> {
        Ok(Self {
            address: BoundAddr::Tcp(socket.local_addr()?),
            socket: Socket::Tcp(socket),
        })
    }

    pub(super) fn address(&self) -> &BoundAddr {
        &self.address
    }

    /// Accepts the next connection, and tells who opened it. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<(Accepted, Holder)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Without this option, small responses wait 40 ms for an acknowledgement.
                stream.set_nodelay(true)?;
                let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE);
                SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                let holder = Holder::host(address.ip());
                Ok((Accepted::Tcp(stream.into_std()?), holder))
            }
            Socket::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let holder = Holder::User(stream.peer_cred()?.uid());
                Ok((Accepted::Unix(stream.into_std()?), holder))
            }
        }
    }
}
