//! The servers of others, as their packages bring them, pinned and in memory.

pub(crate) mod etcd;
pub(crate) mod memcached;
pub(crate) mod redis;

use std::{
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use crate::failure::Failure;

/// A port nobody listens on; those servers can't be asked for any.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Connects as soon as somebody listens there.
fn connect(name: &str, port: u16) -> Result<TcpStream, Failure> {
    for _ in 0..500 {
        if let Ok(socket) = TcpStream::connect(("127.0.0.1", port)) {
            socket.set_nodelay(true)?;
            return Ok(socket);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(Failure::NotListening(name.to_owned()))
}
